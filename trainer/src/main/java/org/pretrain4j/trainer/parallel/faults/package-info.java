/**
 * What happens when something breaks. Each rank keeps a {@link
 * org.pretrain4j.trainer.parallel.faults.FlightRecord} of where it is and writes it to a file once
 * a second ({@link org.pretrain4j.trainer.parallel.faults.Watchdog}); from the records of all ranks
 * follows who keeps the others waiting ({@link org.pretrain4j.trainer.parallel.faults.Culprits}).
 * The {@link org.pretrain4j.trainer.parallel.faults.Supervisor} starts local ranks, notices death
 * and hanging, and starts again.
 *
 * <pre>{@code
 * FlightRecorder recorder = new FlightRecorder(rank, attempt);
 * try (Watchdog watchdog = Watchdog.start(recorder, folder, worldSize, Duration.ofMinutes(10), hang -> halt());
 *     Collectives monitored = new MonitoredCollectives(collectives, recorder)) {
 *   for (long step = first; step < end; step++) {
 *     watchdog.recorder().step(step, "forward");
 *     ...
 *   }
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.parallel.faults;
