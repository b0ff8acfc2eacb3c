package org.pretrain4j.trainer.cuda;

/** Starts kernels one after the other, each when the one before is done; waits for none. */
@FunctionalInterface
public interface KernelLauncher {

  /**
   * Starts a kernel.
   *
   * @param kernel its name in the source
   * @param blocks of the grid, which has one dimension; at least 1
   * @param threads of a block, which has one dimension; at least 1
   * @param sharedBytes shared memory of a block, in bytes
   * @param arguments the kernel's, in order; read before this returns
   * @throws IllegalStateException if there is no such kernel or it can't be started
   */
  void launch(String kernel, long blocks, int threads, int sharedBytes, KernelArguments arguments);
}
