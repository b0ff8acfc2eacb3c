package org.pretrain4j.launch;

import java.time.Duration;
import java.util.Locale;
import org.pretrain4j.trainer.run.StepMetrics;

/**
 * The steps of a run as a table that grows by a line every so often, and on a terminal one more
 * line below it that follows every step.
 *
 * <pre>
 *       step   tokens      loss  grad norm         lr   tokens/s       left
 *         10   81.9k    5.0127      2.113   3.00e-04      2,310     2m 20s
 * </pre>
 */
final class TrainingProgress {
  /** Weight of the newest step in the mean that tokens/s and the time left are reckoned with. */
  private static final double SMOOTHING = 0.1;

  private final LiveLine out;
  private final long tableIntervalNanos;
  private final long totalSteps;
  private final long globalBatchTokens;

  private long lastTableLine;
  private long seen;
  private double secondsPerStep;
  private String stage = "";

  /**
   * @param tableInterval time between two lines of the table
   * @param totalSteps length of the run
   * @param globalBatchTokens tokens of a step
   */
  TrainingProgress(LiveLine out, Duration tableInterval, long totalSteps, long globalBatchTokens) {
    this.out = out;
    this.tableIntervalNanos = tableInterval.toNanos();
    this.totalSteps = totalSteps;
    this.globalBatchTokens = globalBatchTokens;
  }

  /** Shows a step, or keeps it to itself if the last line is young. */
  void onStep(StepMetrics step) {
    long now = out.nanoTime();
    // The first step of a process is slower than all that follow, so the second one starts anew.
    secondsPerStep =
        seen++ < 2
            ? step.seconds()
            : secondsPerStep + SMOOTHING * (step.seconds() - secondsPerStep);
    boolean newStage = !step.stage().equals(stage);
    boolean last = step.step() == totalSteps;
    if (newStage) {
      stage = step.stage();
      out.print("stage " + stage);
      out.print(header());
    }
    if (newStage || last || step.skipped() || now - lastTableLine >= tableIntervalNanos) {
      out.print(row(step));
      lastTableLine = now;
    }
    if (!last) {
      out.update(live(step));
    }
  }

  private static String header() {
    return String.format(
        Locale.ROOT,
        "%10s %8s %9s %10s %10s %10s %10s",
        "step",
        "tokens",
        "loss",
        "grad norm",
        "lr",
        "tokens/s",
        "left");
  }

  private String row(StepMetrics step) {
    return String.format(
        Locale.ROOT,
        "%10s %8s %9s %10s %10.2e %10s %10s%s",
        HumanUnits.exact(step.step()),
        HumanUnits.count(step.tokens()),
        decimals(step.loss(), 4),
        decimals(step.gradNorm(), 3),
        step.learningRate(),
        rate(),
        left(step),
        step.skipped() ? "  skipped" : "");
  }

  private String live(StepMetrics step) {
    return String.format(
        Locale.ROOT,
        "%s/%s (%d%%)  loss %s  %s tokens/s  %s left",
        HumanUnits.exact(step.step()),
        HumanUnits.exact(totalSteps),
        100 * step.step() / totalSteps,
        decimals(step.loss(), 4),
        rate(),
        left(step));
  }

  /** A number that is not finite comes as null. */
  private static String decimals(Double value, int decimals) {
    return value == null ? "not finite" : String.format(Locale.ROOT, "%." + decimals + "f", value);
  }

  private String rate() {
    return HumanUnits.exact(Math.round(globalBatchTokens / secondsPerStep));
  }

  private String left(StepMetrics step) {
    double seconds = (totalSteps - step.step()) * secondsPerStep;
    return HumanUnits.time(Duration.ofMillis(Math.round(1000 * seconds)));
  }
}
