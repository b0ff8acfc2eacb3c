package org.pretrain4j.trainer.cuda;

import java.util.Map;

/** A GPU that this process computes on: its driver, the compiled kernels, and cuBLAS. */
public final class CudaDevice implements AutoCloseable {
  private final int index;
  private final GpuDriver driver;
  private final CudaLauncher launcher;
  private final CublasGemm gemm;

  private CudaDevice(int index, GpuDriver driver, CudaLauncher launcher, CublasGemm gemm) {
    this.index = index;
    this.driver = driver;
    this.launcher = launcher;
    this.gemm = gemm;
  }

  /**
   * Takes a GPU and compiles the kernels for it.
   *
   * @param index among the GPUs that this process sees
   * @throws org.pretrain4j.configuration.UserException if the GPU or a library of CUDA is absent
   */
  public static CudaDevice open(int index, Map<String, String> environment) {
    CudaDriver driver = CudaDriver.open(environment, index);
    byte[] code =
        Nvrtc.open(environment)
            .compile(KernelSource.NAME, KernelSource.text(), driver.capability());
    CudaLauncher launcher = new CudaLauncher(driver, driver.loadModule(code));
    return new CudaDevice(index, driver, launcher, CublasGemm.open(driver, environment));
  }

  /** Its number among the GPUs that this process sees. */
  public int index() {
    return index;
  }

  /** The driver. */
  public GpuDriver driver() {
    return driver;
  }

  /** What starts the kernels. */
  public KernelLauncher launcher() {
    return launcher;
  }

  /** Products that end in float32. */
  public DeviceGemm gemm() {
    return gemm;
  }

  @Override
  public void close() {
    gemm.close();
  }
}
