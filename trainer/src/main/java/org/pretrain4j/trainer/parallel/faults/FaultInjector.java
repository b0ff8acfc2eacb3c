package org.pretrain4j.trainer.parallel.faults;

import java.util.List;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Makes the faults of one rank happen. */
public final class FaultInjector {
  /** Exit code of a crash: that of a process killed by SIGKILL. */
  static final int KILLED = 137;

  private static final Logger LOG = LogManager.getLogger();

  /**
   * What shall be NaN.
   *
   * @param loss the rank's loss
   * @param gradient one of the rank's reduced gradients
   */
  public record BadNumbers(boolean loss, boolean gradient) {}

  private final List<FaultInjection> faults;

  /**
   * The faults that concern this rank in this start of the run.
   *
   * @param attempt from 1
   */
  public FaultInjector(List<FaultInjection> faults, int rank, int attempt) {
    this.faults =
        faults.stream()
            .filter(fault -> fault.rank() == rank && fault.attempt() == attempt)
            .toList();
  }

  /**
   * To be called at the beginning of a step; may not return.
   *
   * @return which numbers of this step shall be NaN on this rank
   */
  public BadNumbers beginStep(long step) {
    boolean loss = false;
    boolean gradient = false;
    for (FaultInjection fault : faults) {
      if (!fault.isIn(step)) {
        continue;
      }
      LOG.warn("injected fault: {} in step {} on rank {}", fault.kind(), step, fault.rank());
      switch (fault.kind()) {
        case CRASH -> Runtime.getRuntime().halt(KILLED);
        case HANG -> hang();
        case SLOW -> sleep((long) (fault.seconds() * 1000));
        case NAN -> loss = true;
        case NAN_GRADIENT -> gradient = true;
      }
    }
    return new BadNumbers(loss, gradient);
  }

  private static void hang() {
    while (true) {
      sleep(Long.MAX_VALUE);
    }
  }

  private static void sleep(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      LOG.debug("a rank that hangs on purpose doesn't mind an interrupt");
    }
  }
}
