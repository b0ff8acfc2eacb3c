package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.pretrain4j.trainer.run.StepMetrics;

class TrainingProgressTest {
  private static final double SECONDS_PER_STEP = 0.5;
  private static final int SKIPPED = 34;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private long nanos;

  private LiveLine out(boolean terminal) {
    PrintStream stream = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    return new LiveLine(stream, terminal, () -> nanos);
  }

  private static TrainingProgress progress(LiveLine out) {
    return new TrainingProgress(out, Duration.ofSeconds(10), 120, 8192);
  }

  /** Steps first to last of a stage, half a second each. */
  private void run(TrainingProgress progress, String stage, int first, int last) {
    for (int step = first; step <= last; step++) {
      nanos += (long) (SECONDS_PER_STEP * 1e9);
      progress.onStep(metrics(step, stage, SECONDS_PER_STEP));
    }
  }

  private static StepMetrics metrics(int step, String stage, double seconds) {
    boolean skipped = step == SKIPPED;
    Double loss = skipped ? null : 5.5 - 0.01 * step;
    return new StepMetrics(
        step,
        stage,
        step * 8192L,
        loss,
        3e-4,
        1.25,
        skipped,
        0,
        seconds,
        8192 / seconds,
        0.4,
        0,
        0,
        Map.of(),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        Map.of(),
        Map.of(),
        Map.of(),
        0,
        0);
  }

  private String text() {
    return bytes.toString(StandardCharsets.UTF_8);
  }

  private List<String> lines() {
    return text().lines().toList();
  }

  @Test
  void aFileGetsATableWithALineEverySoOften() {
    run(progress(out(false)), "web", 1, 60);
    List<String> lines = lines();
    assertEquals("stage web", lines.get(0));
    assertEquals(
        "      step   tokens      loss  grad norm         lr   tokens/s       left", lines.get(1));
    assertEquals(
        "         1    8.19k    5.4900      1.250   3.00e-04     16,384      1m 0s", lines.get(2));
    // One at the start, then one in ten seconds, which are twenty steps, and the one skipped.
    assertEquals(List.of("1", "21", "34", "54"), firstColumn(lines));
    assertEquals(
        "        34     279k not finite      1.250   3.00e-04     16,384        43s  skipped",
        lines.get(4));
    assertFalse(text().contains("\r"));
  }

  @Test
  void aNewStageAndTheLastStepAlwaysShow() {
    TrainingProgress progress = progress(out(false));
    run(progress, "web", 1, 3);
    run(progress, "math", 4, 120);
    List<String> steps = firstColumn(lines());
    assertTrue(steps.containsAll(List.of("1", "4", "120")), steps::toString);
    assertTrue(lines().contains("stage math"));
    assertTrue(lines().getLast().endsWith(" 0s"), lines().getLast());
  }

  @Test
  void aTerminalAlsoHasALiveLineThatTheNextLineErases() {
    try (LiveLine out = out(true)) {
      run(progress(out), "web", 1, 6);
    }
    String live = "\r\u001b[K6/120 (5%)  loss 5.4400  16,384 tokens/s  57s left";
    assertTrue(text().endsWith(live + "\r\u001b[K"), text());
    assertTrue(text().contains("\r\u001b[Kstage web"), text());
  }

  @Test
  void theSlowFirstStepDoesNotSpoilTheTimeLeft() {
    TrainingProgress progress = progress(out(false));
    progress.onStep(metrics(1, "web", 60));
    run(progress, "web", 2, 120);
    assertEquals("16,384", lines().get(3).strip().split(" +")[5], lines().get(3));
  }

  private static List<String> firstColumn(List<String> lines) {
    return lines.stream()
        .filter(line -> line.matches(" +[0-9].*"))
        .map(line -> line.strip().split(" +")[0])
        .toList();
  }
}
