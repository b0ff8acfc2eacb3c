package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;

/**
 * Runs kernels on the CPU, on memory of the CPU, and checks what a GPU would not forgive: other
 * arguments than the kernel has, or more threads than it is compiled for.
 */
public final class EmulatedLauncher implements KernelLauncher {

  /** The order in which warps, their lanes and blocks get their turns. */
  public enum Order {
    ASCENDING,
    DESCENDING,
    SHUFFLED
  }

  private final EmulatedKernels kernels = EmulatedKernels.get();
  private final Order order;
  private final Set<String> launched = new HashSet<>();
  private int seed;

  /** A launcher; skips the test where there is no compiler. */
  public EmulatedLauncher(Order order) {
    this.order = order;
  }

  @Override
  public void launch(
      String name, long blocks, int threads, int sharedBytes, KernelArguments arguments) {
    EmulatedKernels.Kernel kernel = kernels.kernel(name);
    assertEquals(kernel.letters(), arguments.types(), "arguments of " + name);
    assertTrue(threads <= kernel.mostThreads(), threads + " threads of " + name);
    launched.add(name);
    kernels.run(
        kernel, arguments.pointers(), blocks, threads, sharedBytes, order.ordinal(), ++seed);
  }

  /** The kernels that were started. */
  Set<String> launched() {
    return launched;
  }
}
