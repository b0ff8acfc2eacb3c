/**
 * Ranks as processes on CPUs, started by mpirun or srun, through Open MPI's C library.
 *
 * <p>MPI moves the bytes; the sums are our own. It knows no bfloat16, and promises no order of
 * addition, while a run shall repeat bit for bit and give the same bits as ranks in one process. So
 * a reduce-scatter is an all-to-all and a sum in the order of ranks, an all-reduce is that and an
 * all-gather: the same bytes on the wire as a ring.
 *
 * <p>Non-blocking calls only, so that a rank that never comes is a timeout and not a hang. A thread
 * of its own drives the transfers on and answers other ranks' questions about where this one is,
 * also while this one computes or hangs.
 */
package org.pretrain4j.trainer.parallel.mpi;
