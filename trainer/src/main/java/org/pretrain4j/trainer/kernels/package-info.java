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
 * <p>The JVM needs {@code --add-modules=jdk.incubator.vector} and, for speed, the option that
 * {@link org.pretrain4j.trainer.kernels.Staging} explains.
 *
 * <pre>{@code
 * try (WorkerPool pool = new WorkerPool(2)) {
 *   RmsNorm norm = new RmsNorm(pool, hiddenSize, 1e-6);
 *   Matrix x = Matrix.bfloat16(memoryOfX, rows, hiddenSize);
 *   norm.forward(x, weight, y, rstd);
 *   norm.backward(dy, x, weight, rstd, dx, dWeight);
 *   Accumulation.addBfloat16(pool, fp32Sum, bf16Gradient);
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.kernels;
