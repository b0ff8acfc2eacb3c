package org.pretrain4j.launch;

import java.util.LinkedHashSet;
import java.util.Locale;
import java.util.Set;
import java.util.function.DoubleFunction;
import java.util.function.Function;
import org.pretrain4j.trainer.bench.BenchReport;
import org.pretrain4j.trainer.bench.BenchReport.Baseline;
import org.pretrain4j.trainer.bench.BenchReport.Drift;

/**
 * Every figure of two reports of the same kind, a row each: the second beside the first, and over
 * it. What only one of them has stands beside a dash.
 */
record BenchComparison(BenchReport first, BenchReport second) {
  private static final String MISSING = "-";

  /**
   * Adds the rows.
   *
   * @param table of five columns: kind, what, the first, the second, their ratio
   * @param kind of both reports, beside the first row
   */
  void addTo(TextTable table, String kind) {
    row(table, kind, "tokens/s", number("%,.0f"), BenchReport::tokensPerSecond);
    row(table, "share of peak", "%.3f", BenchReport::shareOfPeak);
    row(table, "fastest share", "%.3f", BenchReport::fastestShareOfPeak);
    row(table, "GEMM peak, GFLOP/s", "%,.1f", report -> report.gemmPeakFlops() / 1e9);
    row(table, "best GEMM peak, GFLOP/s", "%,.1f", report -> report.bestPeakFlops() / 1e9);
    bytes(
        table,
        "peak memory of the " + both(first.peakMemoryOf(), second.peakMemoryOf()),
        report -> (double) report.peakMemoryBytes());
    bytes(table, "memory of the GPU", of(BenchReport::deviceMemoryBytes, Long::doubleValue));
    bytes(table, "Java heap of a step", report -> (double) report.heapBytesPerStep());
    row(table, "collector's pauses, s", "%.3f", BenchReport::garbageCollectionSeconds);
    row(table, "most of a step, s", "%.3f", BenchReport::mostGarbageCollectionSeconds);
    row(table, "step, s", "%.3f", BenchReport::stepSeconds);
    Set<String> phases = new LinkedHashSet<>(first.phaseSeconds().keySet());
    phases.addAll(second.phaseSeconds().keySet());
    for (String phase : phases) {
      row(table, phase + ", s", "%.3f", report -> report.phaseSeconds().get(phase));
    }
    row(table, "drift of a step's time, %", "%+.1f", drift(drift -> 100 * drift.stepTime()));
    row(table, "drift of memory, bytes", "%+,.0f", drift(drift -> (double) drift.residentBytes()));
    row(table, "drift over steps", "%,.0f", drift(drift -> (double) drift.steps()));
    row(table, "baseline, tokens/s", "%,.0f", baseline(Baseline::tokensPerSecond));
    row(table, "baseline, step, s", "%.3f", baseline(Baseline::stepSeconds));
    row(table, "over the baseline", "%.2f", baseline(Baseline::speedup));
    row(table, "tokens of a step", "%,.0f", report -> (double) report.tokens());
    row(table, "operations of a token", "%,.0f", BenchReport::flopsPerToken);
  }

  private static <T> Function<BenchReport, Double> of(
      Function<BenchReport, T> part, Function<T, Double> figure) {
    return report -> {
      T found = part.apply(report);
      return found == null ? null : figure.apply(found);
    };
  }

  private static Function<BenchReport, Double> baseline(Function<Baseline, Double> figure) {
    return of(BenchReport::baseline, figure);
  }

  private static Function<BenchReport, Double> drift(Function<Drift, Double> figure) {
    return of(BenchReport::drift, figure);
  }

  private void bytes(TextTable table, String what, Function<BenchReport, Double> figure) {
    row(table, "", what, HumanUnits::bytes, figure);
  }

  private void row(
      TextTable table, String what, String format, Function<BenchReport, Double> figure) {
    row(table, "", what, number(format), figure);
  }

  private void row(
      TextTable table,
      String kind,
      String what,
      DoubleFunction<String> format,
      Function<BenchReport, Double> figure) {
    Double before = figure.apply(first);
    Double after = figure.apply(second);
    if (before != null || after != null) {
      boolean comparable = before != null && after != null && before > 0 && after >= 0;
      String ratio = comparable ? number("%.2f").apply(after / before) : "";
      table.add(kind, what, text(format, before), text(format, after), ratio);
    }
  }

  private static DoubleFunction<String> number(String format) {
    return value -> String.format(Locale.ROOT, format, value);
  }

  private static String text(DoubleFunction<String> format, Double value) {
    return value == null ? MISSING : format.apply(value);
  }

  /** Both, or the one if they are the same. */
  private static String both(String first, String second) {
    return first.equals(second) ? first : first + " and the " + second;
  }
}
