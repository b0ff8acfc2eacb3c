/**
 * How a process finds the others: who started it and as which rank ({@link
 * org.pretrain4j.trainer.parallel.cluster.World}), a small key-value store over TCP for what must
 * be agreed on ({@link org.pretrain4j.trainer.parallel.cluster.Rendezvous}), and the choice of the
 * engine ({@link org.pretrain4j.trainer.parallel.cluster.Backend}).
 *
 * <pre>{@code
 * World world = World.discover(System.getenv());
 * try (Collectives collectives = Backend.AUTO.join(world, timeout, System.getenv())) { ... }
 * }</pre>
 */
package org.pretrain4j.trainer.parallel.cluster;
