package org.pretrain4j.launch;

import java.time.Duration;
import java.util.Locale;

/**
 * What a person sees of a training run: a table that grows by a line every so often, and on a
 * terminal one more line below it that follows every step. Where the output goes to a file there is
 * only the table, without control characters.
 *
 * <pre>
 *       step   tokens      loss  grad norm         lr   tokens/s       left
 *         10   81.9k    5.0127      2.113   3.00e-04      2,310     2m 20s
 * </pre>
 */
final class TrainingProgress implements AutoCloseable {
  /** Weight of the newest step in the mean of tokens/s that the time left is reckoned with. */
  private static final double SMOOTHING = 0.1;

  private final LiveLine out;
  private final long tableIntervalNanos;
  private final long totalSteps;
  private final long globalBatchTokens;

  private long lastTableLine;
  private long steps;
  private double secondsPerStep;
  private String stage = "";

  /**
   * One finished step.
   *
   * @param step counted from 0
   * @param stage its name
   * @param loss mean over the step's targets, in nats
   * @param gradNorm global L2 norm before clipping
   * @param learningRate of this step
   * @param seconds that the step took
   * @param skipped whether its update was left out as its loss or gradient was not finite
   */
  record Step(
      long step,
      String stage,
      double loss,
      double gradNorm,
      double learningRate,
      double seconds,
      boolean skipped) {}

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
  void onStep(Step step) {
    long now = out.nanoTime();
    // The first step of a process is slower than all that follow, so the second one starts anew.
    secondsPerStep =
        steps++ < 2
            ? step.seconds()
            : secondsPerStep + SMOOTHING * (step.seconds() - secondsPerStep);
    boolean newStage = !step.stage().equals(stage);
    boolean last = step.step() == totalSteps - 1;
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

  private String row(Step step) {
    return String.format(
        Locale.ROOT,
        "%10s %8s %9.4f %10.3f %10.2e %10s %10s%s",
        HumanUnits.exact(step.step() + 1),
        HumanUnits.count((step.step() + 1.0) * globalBatchTokens),
        step.loss(),
        step.gradNorm(),
        step.learningRate(),
        HumanUnits.exact(Math.round(globalBatchTokens / secondsPerStep)),
        left(step),
        step.skipped() ? "  skipped: not finite" : "");
  }

  private String live(Step step) {
    return String.format(
        Locale.ROOT,
        "%s/%s (%d%%)  loss %.4f  %s tokens/s  %s left",
        HumanUnits.exact(step.step() + 1),
        HumanUnits.exact(totalSteps),
        100 * (step.step() + 1) / totalSteps,
        step.loss(),
        HumanUnits.exact(Math.round(globalBatchTokens / secondsPerStep)),
        left(step));
  }

  private String left(Step step) {
    double seconds = (totalSteps - step.step() - 1) * secondsPerStep;
    return HumanUnits.time(Duration.ofMillis(Math.round(1000 * seconds)));
  }

  /** Removes the live line, so that what follows starts at the left. */
  @Override
  public void close() {
    out.close();
  }
}
