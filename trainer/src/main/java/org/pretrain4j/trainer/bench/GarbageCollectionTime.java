package org.pretrain4j.trainer.bench;

import java.lang.management.ManagementFactory;

/** What the Java heap's collector cost so far. */
public final class GarbageCollectionTime {
  private GarbageCollectionTime() {}

  /** Seconds since the process began, as the collectors count them. */
  public static double seconds() {
    return ManagementFactory.getGarbageCollectorMXBeans().stream()
            .mapToLong(collector -> Math.max(0, collector.getCollectionTime()))
            .sum()
        * 1e-3;
  }
}
