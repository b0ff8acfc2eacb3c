/**
 * What the ranks of a run do together: all-reduce, reduce-scatter, all-gather, broadcast and
 * barrier on flat buffers, behind one interface with several engines. The trainer sees {@link
 * org.pretrain4j.trainer.parallel.Collectives} only; whether ranks are threads of this JVM ({@link
 * org.pretrain4j.trainer.parallel.InProcessGroup}), MPI processes or GPUs is a matter of
 * configuration.
 *
 * <pre>{@code
 * Pending sum = collectives.reduceScatter(bucket, myPart); // goes on while backward continues
 * ...
 * sum.await();
 * }</pre>
 *
 * <p>Two rules hold for every engine: a collective ends, with a result or with an exception that
 * names the rank at fault; and the engines for host memory add in the order of ranks, so that a run
 * repeats bit for bit.
 */
package org.pretrain4j.trainer.parallel;
