package org.pretrain4j.trainer.optim;

import java.util.List;
import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;
import org.pretrain4j.configuration.Spelled;

/**
 * The learning rate as a function of the step t, counted from 0, so that with a warmup the very
 * first step has learning rate 0:
 *
 * <ol>
 *   <li>t &le; warmup_steps: lr t / warmup_steps
 *   <li>t &lt; decay_start_step: lr
 *   <li>t &lt; decay_start_step + decay_steps: from lr down to min_learning_rate in the shape
 *       decay_shape of u = (t - decay_start_step) / decay_steps
 *   <li>afterwards: min_learning_rate
 * </ol>
 *
 * <p>What a file leaves out depends on the run's length; {@link #resolve} fills it in, so in the
 * configuration of a run decayStartStep, decaySteps and decayShape are always present.
 */
public record ScheduleConfig(
    @Key(
            "`wsd`: warmup, stable, decay; `cosine`: a cosine decay right after the warmup, with no"
                + " stable phase")
        @Default("wsd")
        Type type,
    @Key("Steps over which the learning rate rises linearly from 0") long warmupSteps,
    @Key("Step, counted from 0, at which the decay begins")
        @Default(value = "null", meaning = "`warmup_steps`")
        Optional<Long> decayStartStep,
    @Key("Steps that the decay takes")
        @Default(
            value = "null",
            meaning =
                "the run's steps less `warmup_steps`, and less `decay_start_step` where that is"
                    + " given")
        Optional<Long> decaySteps,
    @Key("Shape of the decay; a cosine schedule has no other than `cosine`")
        @Default(value = "null", meaning = "`linear`, or `cosine` in a cosine schedule")
        Optional<DecayShape> decayShape,
    @Key("Learning rate at the end of the decay and after it") @Default("0")
        double minLearningRate) {

  /** The phases of a schedule. */
  public enum Type {
    WSD,
    COSINE
  }

  /** How the learning rate falls from its peak to its minimum as u goes from 0 to 1. */
  public enum DecayShape {
    /** 1 - u. */
    LINEAR,
    /** (1 + cos(pi u)) / 2. */
    COSINE,
    /** 1 - sqrt(u). */
    @Spelled("1-sqrt")
    ONE_MINUS_SQRT
  }

  public ScheduleConfig {
    Checks checks = new Checks();
    checks.notNegative("warmup_steps", warmupSteps);
    decayStartStep.ifPresent(step -> checks.notNegative("decay_start_step", step));
    decaySteps.ifPresent(steps -> checks.notNegative("decay_steps", steps));
    long start = decayStartStep.orElse(warmupSteps);
    checks.together(
        List.of("decay_start_step", "warmup_steps"),
        () -> start >= warmupSteps,
        start,
        "at least warmup_steps " + warmupSteps);
    boolean cosine = type == Type.COSINE;
    checks.together(
        List.of("decay_start_step", "type", "warmup_steps"),
        () -> !cosine || start == warmupSteps,
        start,
        "warmup_steps "
            + warmupSteps
            + " as a cosine schedule has no stable phase (delete the key, or use type: wsd with"
            + " decay_shape: cosine)");
    DecayShape shape = decayShape.orElse(cosine ? DecayShape.COSINE : DecayShape.LINEAR);
    checks.require(
        !cosine || shape == DecayShape.COSINE,
        List.of("decay_shape", "type"),
        "can only be cosine in a cosine schedule: delete it, or use type: wsd");
    checks.notNegative("min_learning_rate", minLearningRate);
    checks.throwIfAny();
    decayShape = Optional.of(shape);
  }

  /**
   * This schedule with everything present, in a run of so many steps.
   *
   * @throws org.pretrain4j.configuration.ConfigurationException if a phase leaves the run; a decay
   *     may end at totalSteps + 1, as that of the published SmolLM3 run does
   */
  public ScheduleConfig resolve(long totalSteps) {
    Checks checks = new Checks();
    checks.require(
        warmupSteps <= totalSteps,
        "warmup_steps",
        warmupSteps,
        "at most the run's " + totalSteps + " steps");
    long start = decayStartStep.orElse(warmupSteps);
    checks.together(
        List.of("decay_start_step", "warmup_steps"),
        () -> start <= totalSteps,
        start,
        "at most the run's " + totalSteps + " steps");
    long steps = decaySteps.orElse(totalSteps - warmupSteps - decayStartStep.orElse(0L));
    checks.require(
        steps >= 0 && steps <= totalSteps + 1 - start,
        List.of("decay_steps", "decay_start_step", "warmup_steps"),
        "is "
            + steps
            + (decaySteps.isPresent() ? "" : " by default")
            + ", expected 0 to "
            + (totalSteps + 1 - start)
            + " as the run has "
            + totalSteps
            + " steps and the decay starts at step "
            + start);
    checks.throwIfAny();
    return new ScheduleConfig(
        type, warmupSteps, Optional.of(start), Optional.of(steps), decayShape, minLearningRate);
  }
}
