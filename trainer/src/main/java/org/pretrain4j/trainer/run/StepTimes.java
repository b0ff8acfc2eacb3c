package org.pretrain4j.trainer.run;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.pretrain4j.trainer.model.Phase;

/** Where the time of one step of one rank goes. For one thread. */
final class StepTimes {
  private final long start = System.nanoTime();
  private final Map<String, Double> phases = new LinkedHashMap<>();
  private double dataWait;
  private double communication;
  private double optimizer;
  private long mark;
  private double seconds;

  void dataWait(double seconds) {
    dataWait = seconds;
  }

  void passes(Map<Phase, Double> seconds) {
    seconds.forEach((phase, time) -> phases.put(phase.name().toLowerCase(Locale.ROOT), time));
  }

  void communication(double seconds) {
    communication += seconds;
  }

  void startCommunication() {
    mark = System.nanoTime();
  }

  void endCommunication() {
    communication += (System.nanoTime() - mark) * 1e-9;
  }

  void startOptimizer() {
    mark = System.nanoTime();
  }

  void endOptimizer() {
    optimizer += (System.nanoTime() - mark) * 1e-9;
  }

  /** The step is over. */
  void end() {
    seconds = (System.nanoTime() - start) * 1e-9;
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
}
