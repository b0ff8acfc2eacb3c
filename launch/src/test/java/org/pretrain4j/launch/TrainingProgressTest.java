package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class TrainingProgressTest {
  private static final double SECONDS_PER_STEP = 0.5;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private long nanos;

  private TrainingProgress progress(boolean terminal) {
    PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    return new TrainingProgress(
        new LiveLine(out, terminal, () -> nanos), Duration.ofSeconds(10), 120, 8192);
  }

  /** Steps first to last of a stage, half a second each. */
  private void run(TrainingProgress progress, String stage, int first, int last) {
    for (int step = first; step <= last; step++) {
      nanos += (long) (SECONDS_PER_STEP * 1e9);
      progress.onStep(
          new TrainingProgress.Step(
              step, stage, 5.5 - 0.01 * step, 1.25, 3e-4, SECONDS_PER_STEP, step == 33));
    }
  }

  private List<String> lines() {
    return bytes.toString(StandardCharsets.UTF_8).lines().toList();
  }

  @Test
  void aFileGetsATableWithALineEverySoOften() {
    try (TrainingProgress progress = progress(false)) {
      run(progress, "web", 0, 59);
    }
    List<String> lines = lines();
    assertEquals("stage web", lines.get(0));
    assertEquals(
        "      step   tokens      loss  grad norm         lr   tokens/s       left", lines.get(1));
    assertEquals(
        "         1    8.19k    5.5000      1.250   3.00e-04     16,384      1m 0s", lines.get(2));
    // One at the start, then one in ten seconds, which are twenty steps; and the step that was
    // skipped.
    assertEquals(List.of("1", "21", "34", "54"), firstColumn(lines));
    assertTrue(lines.get(4).endsWith("  skipped: not finite"), lines.get(4));
    assertFalse(bytes.toString(StandardCharsets.UTF_8).contains("\r"));
  }

  @Test
  void columnsAreAligned() {
    try (TrainingProgress progress = progress(false)) {
      run(progress, "web", 0, 59);
    }
    int width = lines().get(1).length();
    assertTrue(
        lines().stream().skip(1).limit(2).allMatch(line -> line.length() == width),
        lines()::toString);
  }

  @Test
  void aNewStageAndTheLastStepAlwaysShow() {
    try (TrainingProgress progress = progress(false)) {
      run(progress, "web", 0, 2);
      run(progress, "math", 3, 119);
    }
    List<String> steps = firstColumn(lines());
    assertTrue(steps.containsAll(List.of("1", "4", "120")), steps::toString);
    assertTrue(lines().contains("stage math"));
    assertTrue(lines().getLast().strip().endsWith("0s"), lines().getLast());
  }

  @Test
  void aTerminalAlsoHasALiveLineThatTheNextLineErases() {
    try (TrainingProgress progress = progress(true)) {
      run(progress, "web", 0, 5);
    }
    String text = bytes.toString(StandardCharsets.UTF_8);
    assertTrue(text.contains("\r\u001b[K6/120 (5%)  loss 5.4500  16,384 tokens/s  57s left"), text);
    assertTrue(text.endsWith("\r\u001b[K"), "the live line stays behind");
    assertTrue(text.contains("\r\u001b[Kstage web"), text);
  }

  @Test
  void theSlowFirstStepDoesNotSpoilTheTimeLeft() {
    try (TrainingProgress progress = progress(false)) {
      progress.onStep(new TrainingProgress.Step(0, "web", 5, 1, 0, 60, false));
      run(progress, "web", 1, 119);
    }
    assertTrue(lines().get(3).strip().split(" +")[5].equals("16,384"), lines().get(3));
  }

  private static List<String> firstColumn(List<String> lines) {
    return lines.stream()
        .filter(line -> line.matches(" +[0-9].*"))
        .map(line -> line.strip().split(" +")[0])
        .toList();
  }
}
