/**
 * Chooses the engine behind {@link org.pretrain4j.trainer.parallel.Collectives} and starts it.
 *
 * <pre>{@code
 * World world = World.discover(System.getenv());
 * try (Membership membership = Backend.AUTO.join(world, Memory.HOST, run, timeouts, System.getenv())) {
 *   train(membership.collectives());
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.parallel.backend;
