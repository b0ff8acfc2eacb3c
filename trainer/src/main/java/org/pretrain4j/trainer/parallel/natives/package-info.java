/**
 * Finds and calls C libraries that may be absent: MPI and NCCL belong to the machine, not to this
 * program. What is missing is one {@link org.pretrain4j.configuration.UserException} that says what
 * was looked for and where.
 *
 * <pre>{@code
 * NativeLibrary libmpi = NativeLibrary.open("Open MPI", "PRETRAIN4J_LIBMPI", names, folders, hint);
 * MethodHandle rank = libmpi.function("MPI_Comm_rank", JAVA_INT, ADDRESS, ADDRESS);
 * }</pre>
 */
package org.pretrain4j.trainer.parallel.natives;
