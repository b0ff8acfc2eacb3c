package org.pretrain4j.trainer.cuda;

import java.util.Map;
import org.pretrain4j.configuration.UserException;

/** A GPU that this process computes on: its driver, the compiled kernels, and cuBLAS. */
public final class CudaDevice implements AutoCloseable {
  /** Flash attention and bfloat16 products begin with this compute capability. */
  private static final int LEAST_CAPABILITY = 80;

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
   * @throws UserException if the GPU or a library of CUDA is absent, or the GPU is too old
   */
  public static CudaDevice open(int index, Map<String, String> environment) {
    CudaDriver driver = CudaDriver.open(environment, index);
    int capability = driver.capability();
    if (capability < LEAST_CAPABILITY) {
      throw new UserException(
          "GPU %d (%s) has compute capability %.1f, but 8.0 (Ampere) or newer is needed"
              .formatted(index, driver.name(), capability / 10.0));
    }
    byte[] code =
        Nvrtc.open(environment).compile(KernelSource.NAME, KernelSource.text(), capability);
    CudaLauncher launcher = new CudaLauncher(driver, driver.loadModule(code));
    try {
      return new CudaDevice(index, driver, launcher, CublasGemm.open(driver, environment));
    } catch (RuntimeException e) {
      launcher.close();
      throw e;
    }
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
    try (launcher;
        gemm) {
      driver.synchronize(Gpu.DEFAULT_STREAM); // nothing may still run what is unloaded
    }
  }
}
