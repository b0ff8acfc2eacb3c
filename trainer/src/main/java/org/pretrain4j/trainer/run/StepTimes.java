package org.pretrain4j.trainer.run;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.pretrain4j.trainer.model.Phase;

/** Where the time of one step of one rank goes. For one thread. */
final class StepTimes {
  private final long start = System.nanoTime();
  private final Map<String, Double> phases = new LinkedHashMap<>();
  private double data;
  private double dataWait;
  private double waitedInPasses;
  private double communication;
  private double optimizer;
  private double seconds;

  /**
   * The rows are there.
   *
   * @param waited seconds of it that went by in waiting for the loader
   */
  void data(double waited) {
    data = secondsSince(start);
    dataWait = waited;
  }

  /**
   * The passes are done.
   *
   * @param waited seconds of them that went by in waiting for other ranks
   */
  void passes(Map<Phase, Double> seconds, double waited) {
    waitedInPasses = waited;
    seconds.forEach((phase, time) -> phases.put(phase.name().toLowerCase(Locale.ROOT), time));
  }

  void communication(double seconds) {
    communication = seconds;
  }

  void optimizer(double seconds) {
    optimizer = seconds;
  }

  /** The step is over. */
  void end() {
    seconds = secondsSince(start);
  }

  /** Seconds that the step took. */
  double seconds() {
    return seconds;
  }

  double dataWaitSeconds() {
    return dataWait;
  }

  double communicationSeconds() {
    return communication;
  }

  /** Seconds by phase: what the passes tell, and the optimizer. */
  Map<String, Double> phaseSeconds() {
    Map<String, Double> all = new LinkedHashMap<>(phases);
    all.put("optimizer", optimizer);
    return all;
  }

  /**
   * What this rank worked.
   *
   * @param optimizerBefore seconds of the optimizer in the step before
   * @param communicationBefore seconds that it waited for others, likewise
   * @param garbageCollectionBefore seconds of the collector's pauses, likewise
   */
  RankWork work(
      double optimizerBefore, double communicationBefore, double garbageCollectionBefore) {
    return new RankWork(
        data,
        phases.getOrDefault("embedding", 0.0)
            + phases.getOrDefault("forward", 0.0)
            + phases.getOrDefault("head", 0.0),
        // Gradients travel while it goes on, and may have to be waited for.
        Math.max(0, phases.getOrDefault("backward", 0.0) - waitedInPasses),
        optimizerBefore,
        communicationBefore,
        garbageCollectionBefore);
  }

  private static double secondsSince(long start) {
    return (System.nanoTime() - start) * 1e-9;
  }
}
