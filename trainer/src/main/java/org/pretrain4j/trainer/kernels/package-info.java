/**
 * Elementwise and row-wise work on the CPU, as vector code (the Java Vector API) over off-heap
 * memory, where a chain of tensor operators would read and write everything several times.
 *
 * <p>Matrices are row-major, float32 or bfloat16; arithmetic is in float32. A {@link
 * org.pretrain4j.trainer.kernels.WorkerPool} shares the rows out to a few threads in chunks of a
 * fixed size, and sums over rows are taken chunk by chunk in order, so the number of threads
 * changes no bit. Memory must be reachable from any thread: of a shared, global or automatic arena,
 * or native memory of libtorch.
 *
 * <pre>{@code
 * try (WorkerPool pool = new WorkerPool(2)) {
 *   Accumulation.add(pool, fp32Sum, bf16Gradient);
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.kernels;
