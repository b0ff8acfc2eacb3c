package org.pretrain4j.trainer.bench;

import java.util.Map;

/**
 * What was measured of one shape. Times are medians over the repetitions.
 *
 * @param shape its name
 * @param precision element type of the computation
 * @param kernels how forward and backward were computed
 * @param activationCheckpointing what of the activations was computed again
 * @param tokens of a micro-batch
 * @param stepSeconds forward, backward and, for the shapes that have it, the optimizer
 * @param tokensPerSecond tokens over stepSeconds
 * @param gemmPeakFlops operations a second of the best matrix product, measured between the steps
 * @param shareOfPeak median over the repetitions of the step's operations a second over the GEMM
 *     peak measured beside it
 * @param bestPeakFlops the largest of the GEMM peaks of all repetitions
 * @param fastestShareOfPeak the fastest step's operations a second over bestPeakFlops: where others
 *     use the machine, steps and peaks are now and then held up, and this leaves that out of both
 * @param flopsPerToken by {@link Shape#FORMULA}
 * @param phaseSeconds time by phase
 * @param peakMemoryBytes largest resident set of the process, on the host
 * @param peakMemoryOf {@link #OF_STEP} if that is the largest while the step was set up and ran
 *     without a baseline, {@link #OF_PROCESS} where the system only tells of the process so far
 * @param deviceMemoryBytes of the GPU in use after the steps, by all processes, as the driver
 *     counts; null on the CPU
 * @param garbageCollectionSeconds pauses for the heap's collector during all counted steps
 * @param mostGarbageCollectionSeconds the same, in the step with most of them
 * @param heapBytesPerStep what a step takes from the Java heap, in all platform threads
 * @param drift whether steps became slower; null where there were too few to tell
 * @param baseline the same step computed otherwise, in turns with this one; or null
 */
public record BenchReport(
    String shape,
    String precision,
    String kernels,
    String activationCheckpointing,
    long tokens,
    double stepSeconds,
    double tokensPerSecond,
    double gemmPeakFlops,
    double shareOfPeak,
    double bestPeakFlops,
    double fastestShareOfPeak,
    double flopsPerToken,
    Map<String, Double> phaseSeconds,
    long peakMemoryBytes,
    String peakMemoryOf,
    Long deviceMemoryBytes,
    double garbageCollectionSeconds,
    double mostGarbageCollectionSeconds,
    long heapBytesPerStep,
    Drift drift,
    Baseline baseline) {
  /** The peak memory is the step's own. */
  public static final String OF_STEP = "step";

  /** The peak memory is that of the process so far. */
  public static final String OF_PROCESS = "process";

  /**
   * From the first to the last fifth of the steps.
   *
   * @param steps that were compared
   * @param stepTime median step of the last fifth over that of the first, minus 1
   * @param residentBytes growth of the median resident set
   */
  public record Drift(int steps, double stepTime, long residentBytes) {}

  /**
   * What the step is held against.
   *
   * @param kernels of the baseline
   * @param stepSeconds its median
   * @param tokensPerSecond tokens over stepSeconds
   * @param speedup median over the repetitions of its time over that of the step beside it
   */
  public record Baseline(
      String kernels, double stepSeconds, double tokensPerSecond, double speedup) {}
}
