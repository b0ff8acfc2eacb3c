package org.pretrain4j.trainer.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.trainer.bench.BenchReport.Drift;
import org.pretrain4j.trainer.bench.MeasuredStep.Sample;
import org.pretrain4j.trainer.machine.PeakMemory;

/** What was measured of each counted step of a shape, and what it comes to. */
final class StepSamples {
  /** So many steps tell whether there is a drift; the first of them are left out. */
  private static final int LEAST_FOR_DRIFT = 200;

  private static final int SETTLING = 100;

  private final double flops;
  private final List<Double> seconds = new ArrayList<>();
  private final List<Double> peaks = new ArrayList<>();
  private final List<Double> shares = new ArrayList<>();
  private final List<Double> otherSeconds = new ArrayList<>();
  private final List<Double> speedups = new ArrayList<>();
  private final List<Double> resident = new ArrayList<>();
  private final Map<String, List<Double>> phases = new LinkedHashMap<>();
  private final List<Double> allocated = new ArrayList<>();
  private double collecting;
  private double mostCollecting;

  /**
   * @param flops operations of a step
   */
  StepSamples(double flops) {
    this.flops = flops;
  }

  /**
   * Adds a step.
   *
   * @param peak operations a second of the matrix product beside it
   * @param otherTime seconds of the baseline's step beside it, or NaN
   * @param pauses seconds of the heap's collector in it
   * @param heapBytes that it took from the heap
   */
  void add(Sample sample, double peak, double otherTime, double pauses, long heapBytes) {
    seconds.add(sample.seconds());
    peaks.add(peak);
    shares.add(flops / sample.seconds() / peak);
    otherSeconds.add(otherTime);
    speedups.add(otherTime / sample.seconds());
    resident.add((double) PeakMemory.residentBytes());
    collecting += pauses;
    mostCollecting = Math.max(mostCollecting, pauses);
    allocated.add((double) heapBytes);
    sample
        .phases()
        .forEach(
            (phase, time) -> phases.computeIfAbsent(phase, key -> new ArrayList<>()).add(time));
  }

  double stepSeconds() {
    return median(seconds);
  }

  double gemmPeakFlops() {
    return median(peaks);
  }

  double shareOfPeak() {
    return median(shares);
  }

  double bestPeakFlops() {
    return Collections.max(peaks);
  }

  /** Of the fastest step and the best peak. */
  double fastestShareOfPeak() {
    return flops / Collections.min(seconds) / bestPeakFlops();
  }

  double baselineSeconds() {
    return median(otherSeconds);
  }

  double speedup() {
    return median(speedups);
  }

  double garbageCollectionSeconds() {
    return collecting;
  }

  double mostGarbageCollectionSeconds() {
    return mostCollecting;
  }

  long heapBytesPerStep() {
    return Math.round(median(allocated));
  }

  Map<String, Double> phaseSeconds() {
    Map<String, Double> medians = new LinkedHashMap<>();
    phases.forEach((phase, times) -> medians.put(phase, median(times)));
    return medians;
  }

  /** Null if there were too few steps. */
  Drift drift() {
    return drift(seconds, resident);
  }

  /**
   * From the medians of the first to those of the last fifth; single samples say little.
   *
   * @param seconds of each step
   * @param resident bytes after each step
   * @return null if there were too few
   */
  static Drift drift(List<Double> seconds, List<Double> resident) {
    if (seconds.size() < LEAST_FOR_DRIFT) {
      return null;
    }
    int steps = seconds.size() - SETTLING;
    return new Drift(
        steps,
        median(lastFifth(seconds)) / median(firstFifth(seconds)) - 1,
        Math.round(median(lastFifth(resident)) - median(firstFifth(resident))));
  }

  private static List<Double> firstFifth(List<Double> values) {
    return values.subList(SETTLING, SETTLING + (values.size() - SETTLING) / 5);
  }

  private static List<Double> lastFifth(List<Double> values) {
    return values.subList(values.size() - (values.size() - SETTLING) / 5, values.size());
  }

  static double median(List<Double> values) {
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    int middle = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(middle)
        : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
  }
}
