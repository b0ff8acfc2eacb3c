package org.pretrain4j.trainer.bench;

import java.util.Map;

/**
 * What was measured of one shape. Times are medians over the repetitions.
 *
 * @param shape its name
 * @param precision element type of the computation
 * @param kernels how forward and backward were computed
 * @param tokens of a micro-batch
 * @param stepSeconds forward, backward and, for the shapes that have it, the optimizer
 * @param tokensPerSecond tokens over stepSeconds
 * @param gemmPeakFlops operations a second of the best matrix product, measured between the steps
 * @param shareOfPeak median over the repetitions of the step's operations a second over the GEMM
 *     peak measured beside it
 * @param flopsPerToken by {@link org.pretrain4j.trainer.model.ModelFlops#FORMULA}
 * @param phaseSeconds time by phase
 * @param peakMemoryBytes largest resident set of the process so far
 */
public record BenchReport(
    String shape,
    String precision,
    String kernels,
    long tokens,
    double stepSeconds,
    double tokensPerSecond,
    double gemmPeakFlops,
    double shareOfPeak,
    double flopsPerToken,
    Map<String, Double> phaseSeconds,
    long peakMemoryBytes) {}
