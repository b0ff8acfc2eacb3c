/**
 * Ranks with a GPU each, joined by NCCL. Buffers are device memory.
 *
 * <p>The communicator is non-blocking: every call returns at once, so that a peer that never comes
 * is a timeout with its name, and a broken communicator is aborted instead of waited for. The
 * rendezvous carries the unique id at the start, and afterwards what a hanging GPU cannot say: how
 * far each rank is, and why one gave up.
 *
 * <p>{@link org.pretrain4j.trainer.parallel.nccl.Nccl} and {@link org.pretrain4j.trainer.cuda.Gpu}
 * are the C functions in Java's types; behind them are the libraries or, in tests, a model of them
 * that can be told to fail.
 */
package org.pretrain4j.trainer.parallel.nccl;
