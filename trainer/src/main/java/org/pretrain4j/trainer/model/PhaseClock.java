package org.pretrain4j.trainer.model;

import java.util.EnumMap;
import java.util.Map;
import java.util.function.Consumer;

/** Adds up where the time of one rank's passes goes. For one thread. */
public final class PhaseClock {
  private final Map<Phase, Double> seconds = new EnumMap<>(Phase.class);
  private Consumer<Phase> listener = phase -> {};
  private long last;

  /** Who is told each phase that has just ended, on the thread of the passes. */
  public void onLap(Consumer<Phase> listener) {
    this.listener = listener;
  }

  /** The time from here on belongs to no phase yet. */
  public void start() {
    last = System.nanoTime();
  }

  /** What has passed since the last call belongs to the phase. */
  public void lap(Phase phase) {
    long now = System.nanoTime();
    seconds.merge(phase, (now - last) * 1e-9, Double::sum);
    last = now;
    listener.accept(phase);
  }

  /** Seconds by phase since the last call. */
  public Map<Phase, Double> drain() {
    Map<Phase, Double> result = new EnumMap<>(Phase.class);
    for (Phase phase : Phase.values()) {
      result.put(phase, seconds.getOrDefault(phase, 0.0));
    }
    seconds.clear();
    return result;
  }
}
