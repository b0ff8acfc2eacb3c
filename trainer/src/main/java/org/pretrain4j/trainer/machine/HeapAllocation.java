package org.pretrain4j.trainer.machine;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** What the platform threads of this process take from the Java heap. For one thread. */
public final class HeapAllocation {
  private final ThreadMXBean threads =
      ManagementFactory.getPlatformMXBean(com.sun.management.ThreadMXBean.class);

  private long taken = threads.getTotalThreadAllocatedBytes();

  /** Bytes since the last call, or since this was made; all platform threads together. */
  public long takeBytes() {
    long before = taken;
    taken = threads.getTotalThreadAllocatedBytes();
    return taken - before;
  }
}
