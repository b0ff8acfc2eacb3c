package org.pretrain4j.trainer.optim;

import org.pretrain4j.trainer.optim.ScheduleConfig.DecayShape;

/**
 * The learning rate of each step. Steps count from 0, so with a warmup the very first step has
 * learning rate 0.
 */
public sealed interface LearningRateSchedule {
  /** Learning rate of a step counted from 0. */
  double at(long step);

  /** The schedule of a configuration that has been resolved against the run's length. */
  static LearningRateSchedule of(ScheduleConfig config, double learningRate) {
    long decaySteps = config.decaySteps().orElseThrow();
    return switch (config.type()) {
      case WSD ->
          new WarmupStableDecay(
              learningRate,
              config.warmupSteps(),
              config.decayStartStep().orElseThrow(),
              decaySteps,
              config.decayShape().orElseThrow(),
              config.minLearningRate());
      case COSINE ->
          new WarmupCosine(
              learningRate, config.warmupSteps(), decaySteps, config.minLearningRate());
    };
  }

  /**
   * Up linearly, constant, down: the schedule of SmolLM3.
   *
   * <ol>
   *   <li>t &le; warmupSteps: learningRate t / warmupSteps
   *   <li>t &lt; decayStartStep: learningRate
   *   <li>u = (t - decayStartStep) / decaySteps &lt; 1: min + (learningRate - min) shape(u)
   *   <li>afterwards: minLearningRate
   * </ol>
   *
   * @param warmupSteps 0: none, so that step 0 already has the full rate
   */
  record WarmupStableDecay(
      double learningRate,
      long warmupSteps,
      long decayStartStep,
      long decaySteps,
      DecayShape shape,
      double minLearningRate)
      implements LearningRateSchedule {

    public WarmupStableDecay {
      if (warmupSteps < 0 || decaySteps < 0 || decayStartStep < warmupSteps) {
        throw new IllegalArgumentException(
            "warmup %d, decay from %d over %d steps"
                .formatted(warmupSteps, decayStartStep, decaySteps));
      }
    }

    @Override
    public double at(long step) {
      if (step < 0) {
        throw new IllegalArgumentException("steps count from 0: " + step);
      }
      if (step <= warmupSteps && warmupSteps > 0) {
        return learningRate * step / warmupSteps;
      }
      if (step < decayStartStep) {
        return learningRate;
      }
      if (step - decayStartStep >= decaySteps) {
        return minLearningRate;
      }
      double u = (double) (step - decayStartStep) / decaySteps;
      return minLearningRate + (learningRate - minLearningRate) * remaining(u);
    }

    private double remaining(double u) {
      return switch (shape) {
        case LINEAR -> 1 - u;
        case COSINE -> (1 + Math.cos(Math.PI * u)) / 2;
        case ONE_MINUS_SQRT -> 1 - Math.sqrt(u);
      };
    }
  }

  /** Up linearly, then down along half a cosine over decaySteps, then minLearningRate. */
  record WarmupCosine(
      double learningRate, long warmupSteps, long decaySteps, double minLearningRate)
      implements LearningRateSchedule {

    @Override
    public double at(long step) {
      return new WarmupStableDecay(
              learningRate,
              warmupSteps,
              warmupSteps,
              decaySteps,
              DecayShape.COSINE,
              minLearningRate)
          .at(step);
    }
  }
}
