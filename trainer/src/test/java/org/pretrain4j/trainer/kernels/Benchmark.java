package org.pretrain4j.trainer.kernels;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;

/** Times a kernel and prints its traffic, for the benchmarks that are run by hand. */
public final class Benchmark {
  /** Long enough for the compiler's threads on a busy machine. */
  private static final long WARMUP_NANOS = 3_000_000_000L;

  private static final int RUNS = 15;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private Benchmark() {}

  /**
   * Prints the median and best time, the bytes read and written in the best, and what the calling
   * thread spent on a run in CPU time and allocated, which also mean something on a busy machine.
   *
   * @param bytes what one run reads and writes
   */
  public static void measure(String name, long bytes, Runnable kernel) {
    long end = System.nanoTime() + WARMUP_NANOS;
    while (System.nanoTime() < end) {
      kernel.run();
    }
    long[] nanos = new long[RUNS];
    long[] cpu = new long[RUNS];
    long allocated = THREADS.getCurrentThreadAllocatedBytes();
    for (int i = 0; i < RUNS; i++) {
      long startCpu = THREADS.getCurrentThreadCpuTime();
      long start = System.nanoTime();
      kernel.run();
      nanos[i] = System.nanoTime() - start;
      cpu[i] = THREADS.getCurrentThreadCpuTime() - startCpu;
    }
    allocated = THREADS.getCurrentThreadAllocatedBytes() - allocated;
    Arrays.sort(nanos);
    Arrays.sort(cpu);
    System.out.printf(
        "%-34s %8.3f ms, best %8.3f: %6.2f GB/s; caller %8.3f ms of CPU, %d bytes allocated%n",
        name,
        nanos[RUNS / 2] / 1e6,
        nanos[0] / 1e6,
        (double) bytes / nanos[0],
        cpu[0] / 1e6,
        allocated / RUNS);
  }
}
