/**
 * How a process finds the others: who started it and as which rank ({@link
 * org.pretrain4j.trainer.parallel.cluster.World}), and a small key-value store over TCP for what
 * must be agreed on ({@link org.pretrain4j.trainer.parallel.cluster.Rendezvous}).
 *
 * <pre>{@code
 * World world = World.discover(System.getenv());
 * try (Rendezvous store = Rendezvous.join(world, "smollm3/1", Duration.ofMinutes(5))) {
 *   store.set("address/" + world.rank(), address);
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.parallel.cluster;
