package org.pretrain4j.trainer.cuda;

import java.util.HashMap;
import java.util.Map;

/** Launches on the GPU's default stream, the one of libtorch's operators. For one thread. */
public final class CudaLauncher implements KernelLauncher, AutoCloseable {
  private final GpuDriver gpu;
  private final long module;
  private final Map<String, Long> functions = new HashMap<>();

  /**
   * @param module holds the kernels; unloaded with this
   */
  public CudaLauncher(GpuDriver gpu, long module) {
    this.gpu = gpu;
    this.module = module;
  }

  @Override
  public void launch(
      String kernel, long blocks, int threads, int sharedBytes, KernelArguments arguments) {
    long function = functions.computeIfAbsent(kernel, name -> gpu.function(module, name));
    try {
      gpu.launch(function, blocks, threads, sharedBytes, Gpu.DEFAULT_STREAM, arguments.pointers());
    } catch (IllegalStateException e) {
      throw new IllegalStateException(
          "the kernel %s with %d blocks of %d threads: %s"
              .formatted(kernel, blocks, threads, e.getMessage()),
          e);
    }
  }

  @Override
  public void close() {
    gpu.unloadModule(module);
  }
}
