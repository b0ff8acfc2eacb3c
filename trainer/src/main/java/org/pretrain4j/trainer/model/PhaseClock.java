package org.pretrain4j.trainer.model;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Adds up where the time of one rank's passes goes; keeps every lap until it is drained. For one
 * thread.
 */
public final class PhaseClock implements AutoCloseable {
  private record Lap(Phase phase, long from, long to) {}

  private final Timeline timeline;
  private final List<Lap> laps = new ArrayList<>();
  private final List<Long> marks = new ArrayList<>();
  private Consumer<Phase> listener = phase -> {};
  private long last;

  /**
   * @param timeline of the device that computes; closed with this
   */
  public PhaseClock(Timeline timeline) {
    this.timeline = timeline;
  }

  /**
   * Who is told each phase that has just ended, or has been queued, on the thread of the passes.
   */
  public void onLap(Consumer<Phase> listener) {
    this.listener = listener;
  }

  /** The time from here on belongs to no phase yet. */
  public void start() {
    last = mark();
  }

  /** What has passed since the last call belongs to the phase. */
  public void lap(Phase phase) {
    long now = mark();
    laps.add(new Lap(phase, last, now));
    last = now;
    listener.accept(phase);
  }

  private long mark() {
    long mark = timeline.mark();
    marks.add(mark);
    return mark;
  }

  /**
   * Seconds by phase since the last call; waits for the device. The next lap follows a {@link
   * #start}.
   */
  public Map<Phase, Double> drain() {
    Map<Phase, Double> seconds = new EnumMap<>(Phase.class);
    for (Phase phase : Phase.values()) {
      seconds.put(phase, 0.0);
    }
    for (Lap lap : laps) {
      seconds.merge(lap.phase, timeline.seconds(lap.from, lap.to), Double::sum);
    }
    laps.clear();
    marks.forEach(timeline::forget);
    marks.clear();
    return seconds;
  }

  @Override
  public void close() {
    timeline.close();
  }
}
