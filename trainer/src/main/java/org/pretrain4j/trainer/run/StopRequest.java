package org.pretrain4j.trainer.run;

import java.util.concurrent.atomic.AtomicBoolean;

/** The wish to stop after the current step with a checkpoint, from any thread. */
public final class StopRequest {
  private final AtomicBoolean wanted = new AtomicBoolean();

  /** Asks. All ranks agree on the step after which they stop. */
  public void stop() {
    wanted.set(true);
  }

  boolean isWanted() {
    return wanted.get();
  }
}
