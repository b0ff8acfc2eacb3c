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
 * <p>A {@link org.pretrain4j.trainer.cuda.CudaDevice} is a GPU with all that is needed of it: the
 * driver, the kernels compiled by NVRTC, and cuBLAS, bound through {@code java.lang.foreign}. No
 * launch waits for the GPU. It is {@link org.pretrain4j.trainer.cuda.KernelLauncher}'s: on a GPU
 * the driver's, in tests an emulation that runs the same source on the CPU.
 *
 * <pre>{@code
 * CudaDevice device = CudaDevice.open(localRank, System.getenv());
 * CudaKernels kernels = new CudaKernels(device.launcher());
 * DeviceMatrix x = DeviceMatrix.of(tensor);
 * kernels.rmsNorm(x, weight, y, rstd.address(), 1e-6);
 * kernels.swiGlu(gateUp, activated);
 * }</pre>
 */
package org.pretrain4j.trainer.cuda;
