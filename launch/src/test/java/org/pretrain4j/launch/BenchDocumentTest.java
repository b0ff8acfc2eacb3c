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
import org.pretrain4j.trainer.bench.Machine;

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

  @Test
  void otherKernelsAndCheckpointingAreNotComparedWithEachOther() {
    BenchReport fused = report("tiny", "fused", "none", 100);
    BenchReport composed = report("tiny", "composed", "none", 50);
    BenchReport full = report("tiny", "fused", "full", 80);
    List<String> lines = compare(List.of(fused, composed), List.of(full, composed));
    List<String> rates = lines.stream().filter(line -> line.contains("tokens/s")).toList();
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
    List<String> rates = lines.stream().filter(line -> line.contains("tokens/s")).toList();
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
