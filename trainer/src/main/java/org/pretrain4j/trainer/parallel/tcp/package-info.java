/**
 * Ranks as processes on CPUs, joined by plain TCP connections between every two of them: what works
 * wherever processes reach each other, without MPI. The supervisor's local ranks and a Kubernetes
 * job on CPUs use it.
 *
 * <p>Each frame says which collective it belongs to, so a rank that calls another one is noticed at
 * the first frame; a process that dies closes its connections, so it is named at once. The sums are
 * made in the order of ranks, with the same bits as in the other engines for host memory.
 */
package org.pretrain4j.trainer.parallel.tcp;
