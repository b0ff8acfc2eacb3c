package org.pretrain4j.trainer.kernels;

import java.util.Arrays;

/** Times a kernel and prints its traffic, for the benchmarks that are run by hand. */
public final class Benchmark {
  private static final int WARMUPS = 30;
  private static final int RUNS = 15;

  private Benchmark() {}

  /**
   * Prints the median time and the bytes read and written in it.
   *
   * @param bytes what one run reads and writes
   */
  public static void measure(String name, long bytes, Runnable kernel) {
    for (int i = 0; i < WARMUPS; i++) {
      kernel.run();
    }
    long[] nanos = new long[RUNS];
    for (int i = 0; i < RUNS; i++) {
      long start = System.nanoTime();
      kernel.run();
      nanos[i] = System.nanoTime() - start;
    }
    Arrays.sort(nanos);
    System.out.printf(
        "%-44s %9.3f ms (best %9.3f) %7.2f GB/s%n",
        name, nanos[RUNS / 2] / 1e6, nanos[0] / 1e6, (double) bytes / nanos[RUNS / 2]);
  }
}
