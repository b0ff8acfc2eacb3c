/**
 * What lies between the matrix products on NVIDIA's GPUs: kernels in CUDA C++, compiled when a
 * training starts, and the launches that call them.
 *
 * <p>The kernels do what {@link org.pretrain4j.trainer.kernels} and {@link
 * org.pretrain4j.trainer.optim} do on the CPU, with the same roundings: arithmetic in float32, one
 * rounding where a value is stored. Sums are taken in an order that depends on the shape alone, and
 * no kernel adds with atomics, so a result has the same bits in each run and on each kind of GPU
 * but for its approximations of powers and reciprocals.
 *
 * <p>Nothing here waits for the GPU. A launch is {@link
 * org.pretrain4j.trainer.cuda.KernelLauncher}'s: on a GPU the driver's, in tests an emulation that
 * runs the same source on the CPU.
 *
 * <pre>{@code
 * CudaKernels kernels = new CudaKernels(launcher);
 * DeviceMatrix x = DeviceMatrix.of(tensor);
 * kernels.rmsNorm(x, weight, y, rstd.address(), 1e-6);
 * kernels.swiGlu(gateUp, activated);
 * }</pre>
 */
package org.pretrain4j.trainer.cuda;
