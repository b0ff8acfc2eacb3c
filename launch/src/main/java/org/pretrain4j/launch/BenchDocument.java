package org.pretrain4j.launch;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.bench.BenchReport;
import org.pretrain4j.trainer.machine.Machine;

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
          second -> new BenchComparison(first, second).addTo(table, kind(first)),
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
}
