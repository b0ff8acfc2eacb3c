package org.pretrain4j.launch;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.bench.BenchReport;
import org.pretrain4j.trainer.bench.Machine;

/**
 * What {@code bench --json} writes and {@code bench --compare} reads.
 *
 * @param formula of the operations of a token
 * @param machine that was measured
 * @param reports by shape
 */
record BenchDocument(String formula, Machine machine, List<BenchReport> reports) {

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

  /** A table of what both measured, the second over the first. */
  static List<String> compare(BenchDocument before, BenchDocument after) {
    List<String> lines = new ArrayList<>();
    if (!before.machine().equals(after.machine())) {
      lines.add("The machines differ: " + before.machine() + " and " + after.machine());
    }
    TextTable table =
        new TextTable(
            "shape",
            "kernels",
            " tokens/s",
            " then",
            " ratio",
            " share",
            " then",
            " memory",
            " then");
    for (BenchReport first : before.reports()) {
      Optional<BenchReport> match =
          after.reports().stream()
              .filter(report -> report.shape().equals(first.shape()))
              .filter(report -> report.precision().equals(first.precision()))
              .findFirst();
      match.ifPresent(second -> add(table, first, second));
    }
    lines.addAll(table.lines());
    return lines;
  }

  private static void add(TextTable table, BenchReport first, BenchReport second) {
    String kernels =
        first.kernels().equals(second.kernels())
            ? first.kernels()
            : first.kernels() + ", " + second.kernels();
    table.add(
        first.shape(),
        first.precision() + " " + kernels,
        format("%,.0f", first.tokensPerSecond()),
        format("%,.0f", second.tokensPerSecond()),
        format("%.2f", second.tokensPerSecond() / first.tokensPerSecond()),
        format("%.1f%%", 100 * first.shareOfPeak()),
        format("%.1f%%", 100 * second.shareOfPeak()),
        HumanUnits.bytes(first.peakMemoryBytes()),
        HumanUnits.bytes(second.peakMemoryBytes()));
  }

  private static String format(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }
}
