package org.pretrain4j.trainer.machine;

import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;

/**
 * What the collector of this process's Java heap costs: with G1, which the launcher chooses, the
 * pauses of all its parts. For one thread.
 */
public final class GarbageCollectionTime {
  private final List<GarbageCollectorMXBean> collectors =
      ManagementFactory.getGarbageCollectorMXBeans();

  private double taken = seconds();

  /** Seconds since the process began, as the collectors count them. */
  private double seconds() {
    return collectors.stream()
            .mapToLong(collector -> Math.max(0, collector.getCollectionTime()))
            .sum()
        * 1e-3;
  }

  /** Seconds since the last call, or since this was made. */
  public double takeSeconds() {
    double before = taken;
    taken = seconds();
    return taken - before;
  }
}
