/**
 * Chooses the engine behind {@link org.pretrain4j.trainer.parallel.Collectives} and starts it.
 *
 * <pre>{@code
 * World world = World.discover(System.getenv());
 * try (Session session = Backend.AUTO.join(world, Memory.HOST, run, timeouts, System.getenv())) {
 *   train(session.collectives());
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.parallel.backend;
