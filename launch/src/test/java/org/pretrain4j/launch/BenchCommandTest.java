package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.trainer.bench.BenchReport;

/** The command that measures steps, with a shape that takes milliseconds. */
final class BenchCommandTest {
  @TempDir private Path folder;

  private Cli.Result bench(String... more) {
    List<String> arguments = new ArrayList<>(List.of("bench", "--threads", "1"));
    arguments.addAll(List.of(more));
    return Cli.inside(arguments.toArray(String[]::new));
  }

  @Test
  void theReportsNumbersFollowFromEachOther() throws IOException {
    Path file = folder.resolve("bench.json");
    bench("--shape", "tiny", "--repetitions", "1", "--baseline", "eager", "--json", file.toString())
        .ok();
    BenchDocument document = BenchDocument.read(file);
    assertEquals(1, document.machine().threads());
    assertFalse(document.version().isEmpty());
    assertTrue(document.formula().startsWith("flops/token = 6 * parameters"), document.formula());
    BenchReport report = document.reports().getFirst();
    assertEquals(1024 / report.stepSeconds(), report.tokensPerSecond(), 1e-6);
    // 828,544 parameters; 4 layers of 4 heads of 32, sequences of 256.
    assertEquals(6.0 * 828_544 + 12.0 * 4 * 4 * 32 * 256, report.flopsPerToken());
    double share = report.tokensPerSecond() * report.flopsPerToken() / report.gemmPeakFlops();
    assertEquals(share, report.shareOfPeak(), 1e-9 * share);
    BenchReport.Baseline baseline = report.baseline();
    assertNotNull(baseline);
    assertEquals("composed", baseline.kernels());
    double speedup = baseline.stepSeconds() / report.stepSeconds();
    assertEquals(speedup, baseline.speedup(), 1e-9 * speedup);
  }

  /** Of one step, which may have been held up between two of its phases: the best of some. */
  @Test
  void thePhasesAddUpToAStep() throws IOException {
    Path file = folder.resolve("bench.json");
    double gap = Double.POSITIVE_INFINITY;
    for (int i = 0; i < 4 && gap > 0.2; i++) {
      bench("--shape", "tiny", "--repetitions", "1", "--json", file.toString()).ok();
      BenchReport report = BenchDocument.read(file).reports().getFirst();
      double phases = report.phaseSeconds().values().stream().reduce(0.0, Double::sum);
      gap = Math.min(gap, Math.abs(phases / report.stepSeconds() - 1));
    }
    assertTrue(gap <= 0.2, "of a step: " + gap);
  }

  @Test
  void aReportComparedWithItselfGivesRatiosOfOne() throws IOException {
    Path file = folder.resolve("bench.json");
    bench("--shape", "tiny", "--repetitions", "1", "--json", file.toString()).ok();
    String[] lines =
        bench("--compare", file.toString(), file.toString()).ok().out().strip().split("\\R");
    assertTrue(lines.length > 8, () -> String.join("\n", lines));
    for (String line : List.of(lines).subList(1, lines.length)) {
      assertTrue(line.matches(".* (1\\.00|0\\.000 +0\\.000)"), line);
    }
  }

  @Test
  void whatCanNotBeMeasuredIsSaidBeforeAnythingIs() throws IOException {
    Path nowhere = folder.resolve("none").resolve("bench.json");
    Cli.Result unwritable = bench("--shape", "tiny", "--json", nowhere.toString());
    String error = unwritable.error(ExitCode.USAGE);
    assertTrue(error.contains(nowhere.toString()), error);
    assertFalse(unwritable.out().contains("tiny:"), unwritable.out());
    String same =
        bench("--shape", "tiny", "--kernels", "composed", "--baseline", "eager")
            .error(ExitCode.USAGE);
    assertTrue(same.contains("--kernels composed"), same);
    Path kept = Files.writeString(folder.resolve("kept.json"), "earlier");
    bench("--shape", "none", "--json", kept.toString()).error(ExitCode.USAGE);
    assertEquals("earlier", Files.readString(kept));
    String threads = bench("--shape", "tiny", "--threads", "0").error(ExitCode.USAGE);
    assertTrue(threads.contains("--threads"), threads);
  }
}
