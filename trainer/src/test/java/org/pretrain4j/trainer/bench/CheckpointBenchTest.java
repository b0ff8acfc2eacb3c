package org.pretrain4j.trainer.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;

final class CheckpointBenchTest {
  @TempDir private Path folder;

  @Test
  void itMeasuresAndLeavesNothingBehind() throws IOException {
    Shape tiny = Shape.named("tiny");
    CheckpointBenchReport report = CheckpointBench.run(tiny, folder, 1, 1 << 20);
    assertEquals(12 * tiny.model().parameterCount(), report.stateBytes());
    assertEquals(1 << 20, report.stagingBytes());
    for (double positive :
        List.of(
            report.blockedSeconds(),
            report.firstBlockedSeconds(),
            report.writeShare(),
            report.readShare(),
            report.stepSeconds())) {
      assertTrue(positive > 0, report.toString());
    }
    assertEquals(0.25, withTimes(report, 1, 3).blockedShare(1), 1e-12);
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(), left.toList());
    }
    UserException refused =
        assertThrows(
            UserException.class,
            () -> CheckpointBench.run(tiny, folder.resolve("missing"), 1, 1 << 20));
    assertTrue(refused.getMessage().contains("missing"), refused.getMessage());
  }

  private static CheckpointBenchReport withTimes(
      CheckpointBenchReport report, double blocked, double step) {
    return new CheckpointBenchReport(
        report.shape(), 1, 1, blocked, blocked, 1, 1, 1, 1, 1, 1, true, step);
  }
}
