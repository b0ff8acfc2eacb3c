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
      new Machine("a processor", 2, List.of("avx512_bf16"), true, "Linux 6", "25", "2.7.1", "CPU");

  @TempDir private Path folder;

  private static BenchReport report(String shape, double tokensPerSecond) {
    return new BenchReport(
        shape,
        "bf16",
        "fused",
        "none",
        2048,
        2048 / tokensPerSecond,
        tokensPerSecond,
        1e12,
        0.5,
        1e8,
        Map.of("forward", 0.25),
        1L << 30,
        2L << 30,
        0.01,
        new BenchReport.Drift(400, 0.01, 4096),
        new BenchReport.Baseline("composed", 1, 500, 2));
  }

  @Test
  void aDocumentIsReadAsItWasWritten() throws IOException {
    BenchDocument written =
        new BenchDocument("a formula", MACHINE, List.of(report("layer-3b", 1000)));
    Path file = folder.resolve("bench.json");
    Files.writeString(file, JsonOutput.of(written));
    assertEquals(written, BenchDocument.read(file));
  }

  @Test
  void aComparisonGivesTheRatioOfEachShapeThatBothHave() {
    BenchDocument before =
        new BenchDocument("", MACHINE, List.of(report("layer-3b", 1000), report("tiny", 5)));
    BenchDocument after = new BenchDocument("", MACHINE, List.of(report("layer-3b", 1250)));
    List<String> lines = BenchDocument.compare(before, after);
    assertEquals(2, lines.size());
    assertTrue(lines.get(1).matches("layer-3b +bf16 fused +1,000 +1,250 +1\\.25 .*"), lines.get(1));
  }

  @Test
  void machinesThatDifferAreNamed() {
    Machine other = new Machine("another", 4, List.of(), false, "Linux 6", "25", "2.7.1", "CPU");
    List<String> lines =
        BenchDocument.compare(
            new BenchDocument("", MACHINE, List.of()), new BenchDocument("", other, List.of()));
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
