package org.pretrain4j.trainer.optim;

import java.util.List;
import java.util.Optional;

/**
 * Decides, before anything is written, whether a step's update is applied. The loop asks once a
 * step with the loss and the gradient norm of the global batch, which all ranks have alike, and
 * calls the optimizer only on {@link Verdict#APPLY}: nothing is multiplied by 0, since 0 times NaN
 * is NaN.
 *
 * <pre>{@code
 * StepGuard.Decision decision = guard.judge(step, loss, norm);
 * switch (decision.verdict()) {
 *   case APPLY -> adamW.step(...);
 *   case SKIP -> log.warn(decision.reason());
 *   case STOP -> throw new UserException(decision.reason());
 * }
 * }</pre>
 */
public final class StepGuard {
  /** What to do with a step. */
  public enum Verdict {
    APPLY,
    SKIP,
    STOP
  }

  /** What a spike leads to. */
  public enum OnSpike {
    SKIP,
    STOP
  }

  /**
   * A verdict.
   *
   * @param reason why not to apply the step, in one line; empty for APPLY
   */
  public record Decision(Verdict verdict, String reason) {}

  /**
   * Watches for spikes of the loss.
   *
   * @param detector the window of losses
   * @param action what an outlier leads to
   */
  public record SpikePolicy(SpikeDetector detector, OnSpike action) {}

  /**
   * What a checkpoint keeps.
   *
   * @param skipped steps that have been skipped since the beginning of the run
   * @param skippedInARow of them, the latest without an applied one in between
   * @param losses window of the spike detector, empty without one
   */
  public record State(long skipped, long skippedInARow, List<Double> losses) {
    public State {
      losses = List.copyOf(losses);
    }
  }

  private final int maxSkippedSteps;
  private final Optional<SpikePolicy> spikes;
  private long skipped;
  private long skippedInARow;

  /**
   * A guard that has skipped nothing yet.
   *
   * @param maxSkippedSteps steps in a row that may be skipped; one more stops the run
   * @param spikes absent: only what is not finite is skipped
   */
  public StepGuard(int maxSkippedSteps, Optional<SpikePolicy> spikes) {
    if (maxSkippedSteps < 0) {
      throw new IllegalArgumentException("maxSkippedSteps " + maxSkippedSteps);
    }
    this.maxSkippedSteps = maxSkippedSteps;
    this.spikes = spikes;
  }

  /**
   * Judges a step and remembers the verdict. The same calls in the same order give the same
   * verdicts on every rank.
   *
   * @param loss mean loss of the global batch
   * @param gradientNorm norm of the gradient of the global batch, not clipped
   */
  public Decision judge(long step, double loss, double gradientNorm) {
    if (!Double.isFinite(loss) || !Double.isFinite(gradientNorm)) {
      return reject(
          "step %d: loss %s, gradient norm %s: not finite".formatted(step, loss, gradientNorm),
          OnSpike.SKIP);
    }
    if (spikes.isPresent()) {
      SpikeDetector detector = spikes.get().detector();
      double score = detector.score(loss);
      if (detector.observe(loss)) {
        return reject(
            "step %d: loss %.4f is %.1f standard deviations above the latest ones"
                .formatted(step, loss, score),
            spikes.get().action());
      }
    }
    skippedInARow = 0;
    return new Decision(Verdict.APPLY, "");
  }

  /** Forgets the latest losses: those of another mixture of data are no measure. */
  public void startStage() {
    spikes.ifPresent(policy -> policy.detector().clear());
  }

  private Decision reject(String reason, OnSpike action) {
    if (action == OnSpike.STOP) {
      return new Decision(Verdict.STOP, reason);
    }
    if (skippedInARow >= maxSkippedSteps) {
      return new Decision(
          Verdict.STOP,
          "%s, after %d skipped steps in a row (training.max_skipped_steps)"
              .formatted(reason, skippedInARow));
    }
    skipped++;
    skippedInARow++;
    return new Decision(Verdict.SKIP, reason + "; its update is left out");
  }

  /** Steps skipped since the beginning of the run. */
  public long skipped() {
    return skipped;
  }

  /** What a checkpoint keeps. */
  public State state() {
    return new State(
        skipped, skippedInARow, spikes.map(policy -> policy.detector().window()).orElse(List.of()));
  }

  /** Goes on from a checkpoint. */
  public void restore(State state) {
    skipped = state.skipped();
    skippedInARow = state.skippedInARow();
    spikes.ifPresent(policy -> policy.detector().restore(state.losses()));
  }
}
