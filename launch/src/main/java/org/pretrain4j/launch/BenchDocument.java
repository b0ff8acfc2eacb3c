package org.pretrain4j.launch;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.bench.BenchReport;
import org.pretrain4j.trainer.bench.Machine;

/**
 * What {@code bench --json} writes and {@code bench --compare} reads.
 *
 * @param version of this program
 * @param formula of the operations of a token
 * @param machine that was measured
 * @param reports by shape
 */
record BenchDocument(String version, String formula, Machine machine, List<BenchReport> reports) {

  /**
   * Reads one.
   *
   * @throws UserException if it isn't one
   */
  static BenchDocument read(Path file) throws IOException {
    try {
      BenchDocument document = JsonOutput.read(Files.readString(file), BenchDocument.class);
      if (document.reports() == null || document.machine() == null) {
        throw new UserException(file + " is not a report of bench --json");
      }
      return document;
    } catch (NoSuchFileException e) {
      throw new UserException("there is no file " + file, e);
    } catch (JsonProcessingException e) {
      throw new UserException(file + " is not a report of bench --json", e);
    }
  }

  /**
   * What both measured of the same shape in the same way, the second over the first; and what only
   * one of them did. What was measured several times is paired in its order.
   */
  static List<String> compare(BenchDocument before, BenchDocument after) {
    List<String> lines = new ArrayList<>();
    if (!before.machine().equals(after.machine())) {
      lines.add("The machines differ: " + before.machine() + " and " + after.machine());
    }
    TextTable table = new TextTable("shape", "what", " before", " after", " ratio");
    List<String> alone = new ArrayList<>();
    List<BenchReport> left = new ArrayList<>(after.reports());
    for (BenchReport first : before.reports()) {
      Optional<BenchReport> match =
          left.stream().filter(second -> kind(second).equals(kind(first))).findFirst();
      match.ifPresentOrElse(
          second -> add(table, first, second),
          () -> alone.add("only the first file has " + kind(first)));
      match.ifPresent(left::remove);
    }
    left.forEach(second -> alone.add("only the second file has " + kind(second)));
    lines.addAll(table.lines());
    lines.addAll(alone);
    return lines;
  }

  /** What was measured, and how. */
  private static String kind(BenchReport report) {
    return "%s, %s %s, activation checkpointing %s"
        .formatted(
            report.shape(), report.precision(), report.kernels(), report.activationCheckpointing());
  }

  private static void add(TextTable table, BenchReport first, BenchReport second) {
    String kind = kind(first);
    row(table, kind, "tokens/s", "%,.0f", first.tokensPerSecond(), second.tokensPerSecond());
    row(table, "", "share of peak", "%.3f", first.shareOfPeak(), second.shareOfPeak());
    row(
        table,
        "",
        "fastest share",
        "%.3f",
        first.fastestShareOfPeak(),
        second.fastestShareOfPeak());
    double before = first.gemmPeakFlops() / 1e9;
    double after = second.gemmPeakFlops() / 1e9;
    row(table, "", "GEMM peak, GFLOP/s", "%,.1f", before, after);
    table.add(
        "",
        "peak memory of the " + both(first.peakMemoryOf(), second.peakMemoryOf()),
        HumanUnits.bytes(first.peakMemoryBytes()),
        HumanUnits.bytes(second.peakMemoryBytes()),
        ratio(first.peakMemoryBytes(), second.peakMemoryBytes()));
    if (first.deviceMemoryBytes() != null && second.deviceMemoryBytes() != null) {
      table.add(
          "",
          "memory of the GPU",
          HumanUnits.bytes(first.deviceMemoryBytes()),
          HumanUnits.bytes(second.deviceMemoryBytes()),
          ratio(first.deviceMemoryBytes(), second.deviceMemoryBytes()));
    }
    row(table, "", "step, s", "%.3f", first.stepSeconds(), second.stepSeconds());
    Map<String, Double> others = second.phaseSeconds();
    first.phaseSeconds().entrySet().stream()
        .filter(phase -> others.containsKey(phase.getKey()))
        .forEach(
            phase ->
                row(
                    table,
                    "",
                    phase.getKey() + ", s",
                    "%.3f",
                    phase.getValue(),
                    others.get(phase.getKey())));
    if (first.baseline() != null && second.baseline() != null) {
      row(
          table,
          "",
          "over the baseline",
          "%.2f",
          first.baseline().speedup(),
          second.baseline().speedup());
    }
  }

  private static void row(
      TextTable table, String shape, String what, String format, double first, double second) {
    table.add(shape, what, format(format, first), format(format, second), ratio(first, second));
  }

  /** Both, or the one if they are the same. */
  private static String both(String first, String second) {
    return first.equals(second) ? first : first + " and the " + second;
  }

  private static String ratio(double first, double second) {
    return first == 0 ? "" : format("%.2f", second / first);
  }

  private static String format(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }
}
