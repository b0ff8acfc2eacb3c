package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.bench.BenchReport;
import org.pretrain4j.trainer.machine.Machine;

final class BenchDocumentTest {
  private static final Machine MACHINE =
      new Machine(
          "a processor",
          2,
          List.of("avx512_bf16"),
          true,
          "Linux 6",
          "25",
          "2.7.1",
          "CPU",
          2,
          Map.of());

  @TempDir private Path folder;

  private static BenchReport report(String shape, double tokensPerSecond) {
    return report(shape, "fused", "none", tokensPerSecond);
  }

  private static BenchReport report(
      String shape, String kernels, String checkpointing, double tokensPerSecond) {
    return new BenchReport(
        shape,
        "bf16",
        kernels,
        checkpointing,
        2048,
        2048 / tokensPerSecond,
        tokensPerSecond,
        1e12,
        0.5,
        2e12,
        0.25,
        1e8,
        Map.of("forward", 0.25),
        1L << 30,
        BenchReport.OF_STEP,
        2L << 30,
        0.01,
        0.004,
        12_345,
        new BenchReport.Drift(400, 0.01, 4096),
        new BenchReport.Baseline("composed", 1, 500, 2));
  }

  @Test
  void aDocumentIsReadAsItWasWritten() throws IOException {
    BenchDocument written = document("a formula", MACHINE, List.of(report("layer-3b", 1000)));
    Path file = folder.resolve("bench.json");
    Files.writeString(file, JsonOutput.of(written));
    assertEquals(written, BenchDocument.read(file));
  }

  private static BenchDocument document(
      String formula, Machine machine, List<BenchReport> reports) {
    return new BenchDocument("0.1", formula, machine, reports);
  }

  private static List<String> compare(List<BenchReport> before, List<BenchReport> after) {
    return BenchDocument.compare(document("", MACHINE, before), document("", MACHINE, after));
  }

  @Test
  void aComparisonGivesTheRatiosOfEachShapeThatBothHave() {
    List<String> lines =
        compare(
            List.of(report("layer-3b", 1000), report("tiny", 5)),
            List.of(report("layer-3b", 1250), report("135m", 7)));
    String first = "layer-3b, bf16 fused, activation checkpointing none +tokens/s +1,000 +1,250 +";
    assertTrue(lines.get(1).matches(first + "1\\.25"), lines.get(1));
    assertTrue(lines.stream().anyMatch(line -> line.matches(" +forward, s +0.250 +0.250 +1.00")));
    assertTrue(lines.stream().anyMatch(line -> line.matches(" +GEMM peak, GFLOP/s .* 1.00")));
    String only = ", bf16 fused, activation checkpointing none";
    assertEquals(
        List.of("only the first file has tiny" + only, "only the second file has 135m" + only),
        lines.subList(lines.size() - 2, lines.size()));
  }

  private static List<String> rates(List<String> lines) {
    return lines.stream().filter(line -> line.matches("tiny.* tokens/s .*")).toList();
  }

  private static void assertRow(List<String> lines, String row) {
    assertTrue(
        lines.stream().map(line -> line.replaceAll(" +", " ").strip()).anyMatch(row::equals),
        () -> row + " is not in\n" + String.join("\n", lines));
  }

  @Test
  void everyFigureOfBothIsHeldAgainstTheOther() {
    BenchReport after =
        new BenchReport(
            "tiny",
            "bf16",
            "fused",
            "none",
            4096,
            2,
            2048,
            2e12,
            0.25,
            4e12,
            0.5,
            3e8,
            Map.of("forward", 0.5),
            2L << 30,
            BenchReport.OF_PROCESS,
            1L << 30,
            0.02,
            0.012,
            24_690,
            new BenchReport.Drift(800, -0.02, 8192),
            new BenchReport.Baseline("composed", 2, 1000, 3));
    List<String> lines = compare(List.of(report("tiny", 1024)), List.of(after));
    assertRow(lines, "tiny, bf16 fused, activation checkpointing none tokens/s 1,024 2,048 2.00");
    assertRow(lines, "share of peak 0.500 0.250 0.50");
    assertRow(lines, "fastest share 0.250 0.500 2.00");
    assertRow(lines, "GEMM peak, GFLOP/s 1,000.0 2,000.0 2.00");
    assertRow(lines, "best GEMM peak, GFLOP/s 2,000.0 4,000.0 2.00");
    assertRow(lines, "peak memory of the step and the process 1.07 GB 2.15 GB 2.00");
    assertRow(lines, "memory of the GPU 2.15 GB 1.07 GB 0.50");
    assertRow(lines, "Java heap of a step 12.3 kB 24.7 kB 2.00");
    assertRow(lines, "collector's pauses, s 0.010 0.020 2.00");
    assertRow(lines, "most of a step, s 0.004 0.012 3.00");
    assertRow(lines, "step, s 2.000 2.000 1.00");
    assertRow(lines, "forward, s 0.250 0.500 2.00");
    assertRow(lines, "drift of a step's time, % +1.0 -2.0");
    assertRow(lines, "drift of memory, bytes +4,096 +8,192 2.00");
    assertRow(lines, "drift over steps 400 800 2.00");
    assertRow(lines, "baseline, tokens/s 500 1,000 2.00");
    assertRow(lines, "baseline, step, s 1.000 2.000 2.00");
    assertRow(lines, "over the baseline 2.00 3.00 1.50");
    assertRow(lines, "tokens of a step 2,048 4,096 2.00");
    assertRow(lines, "operations of a token 100,000,000 300,000,000 3.00");
  }

  @Test
  void aFigureThatOnlyOneHasStandsBesideADash() {
    BenchReport before = report("tiny", 1024);
    BenchReport after =
        new BenchReport(
            "tiny",
            "bf16",
            "fused",
            "none",
            2048,
            2,
            1024,
            1e12,
            0.5,
            2e12,
            0.25,
            1e8,
            Map.of("optimizer", 0.125),
            1L << 30,
            BenchReport.OF_STEP,
            null,
            0.01,
            0.004,
            12_345,
            null,
            null);
    List<String> lines = compare(List.of(before), List.of(after));
    assertRow(lines, "forward, s 0.250 -");
    assertRow(lines, "optimizer, s - 0.125");
    assertRow(lines, "memory of the GPU 2.15 GB -");
    assertRow(lines, "drift over steps 400 -");
    assertRow(lines, "over the baseline 2.00 -");
    List<String> neither = compare(List.of(after), List.of(after));
    assertTrue(
        neither.stream().noneMatch(line -> line.matches(".*(GPU|drift|baseline).*")),
        neither::toString);
  }

  @Test
  void otherKernelsAndCheckpointingAreNotComparedWithEachOther() {
    BenchReport fused = report("tiny", "fused", "none", 100);
    BenchReport composed = report("tiny", "composed", "none", 50);
    BenchReport full = report("tiny", "fused", "full", 80);
    List<String> lines = compare(List.of(fused, composed), List.of(full, composed));
    List<String> rates = rates(lines);
    assertEquals(1, rates.size(), rates::toString);
    assertTrue(rates.getFirst().matches("tiny, bf16 composed.* 50 +50 +1.00"), rates::toString);
    assertEquals(2, lines.stream().filter(line -> line.startsWith("only the ")).count());
  }

  @Test
  void whatWasMeasuredTwiceIsPairedInItsOrder() {
    List<String> lines =
        compare(
            List.of(report("tiny", 100), report("tiny", 200)),
            List.of(report("tiny", 300), report("tiny", 800)));
    List<String> rates = rates(lines);
    assertTrue(rates.getFirst().endsWith("3.00"), rates::toString);
    assertTrue(rates.getLast().endsWith("4.00"), rates::toString);
  }

  @Test
  void machinesThatDifferAreNamed() {
    Machine other =
        new Machine("another", 4, List.of(), false, "Linux 6", "25", "2.7.1", "CPU", 2, Map.of());
    List<String> lines =
        BenchDocument.compare(document("", MACHINE, List.of()), document("", other, List.of()));
    assertTrue(lines.getFirst().contains("a processor"), lines.getFirst());
    assertTrue(lines.getFirst().contains("another"), lines.getFirst());
  }

  @Test
  void anotherFileIsRefused() throws IOException {
    Path file = folder.resolve("other.json");
    Files.writeString(file, "{\"a\": 1}");
    UserException e = assertThrows(UserException.class, () -> BenchDocument.read(file));
    assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
    assertThrows(UserException.class, () -> BenchDocument.read(folder.resolve("none.json")));
  }
}
