package org.pretrain4j.trainer.sharding;

import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.parallel.Pending;

/** Collectives that the device has to wait for, and how long it stands still for them. */
public final class Standstill {
  /**
   * Seconds that the device stood still, as other ranks were not there yet.
   *
   * @param inPasses while the passes of the step were under way
   * @param afterwards behind them
   */
  public record Waits(double inPasses, double afterwards) {
    /** Of the whole step. */
    public double seconds() {
      return inPasses + afterwards;
    }
  }

  private record Stop(long from, long to) {}

  private final Timeline timeline;
  private final List<Stop> stops = new ArrayList<>();
  private int stopsOfPasses;

  /**
   * @param timeline of the device; not closed here
   */
  public Standstill(Timeline timeline) {
    this.timeline = timeline;
  }

  /** Puts what comes next behind the collective. */
  public void follow(Pending pending) {
    long from = timeline.mark();
    pending.follow();
    stops.add(new Stop(from, timeline.mark()));
  }

  /** The passes of the step have been given to the device. */
  void passesEnd() {
    stopsOfPasses = stops.size();
  }

  /** What there was since the last call, once the device has done it all. */
  public Waits take() {
    Waits waits = new Waits(seconds(0, stopsOfPasses), seconds(stopsOfPasses, stops.size()));
    for (Stop stop : stops) {
      timeline.forget(stop.from);
      timeline.forget(stop.to);
    }
    stops.clear();
    stopsOfPasses = 0;
    return waits;
  }

  private double seconds(int first, int end) {
    return stops.subList(first, end).stream()
        .mapToDouble(stop -> timeline.seconds(stop.from, stop.to))
        .sum();
  }
}
