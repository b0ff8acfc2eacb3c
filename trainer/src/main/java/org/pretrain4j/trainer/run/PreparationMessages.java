package org.pretrain4j.trainer.run;

import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.Progress;

/**
 * Tells a run's listener how the preparation of its data goes on, and breaks it off where the run
 * is asked to stop: tokenizing may take hours, and what it has finished stays.
 */
final class PreparationMessages implements PreparationListener {
  private final TrainingListener listener;
  private final StopRequest stop;

  /** The run was asked to stop before its first step. */
  static final class Stopped extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private Stopped() {
      super("stopped while the data was prepared");
    }
  }

  PreparationMessages(TrainingListener listener, StopRequest stop) {
    this.listener = listener;
    this.stop = stop;
  }

  @Override
  public void progress(Progress progress) {
    if (stop.isWanted()) {
      throw new Stopped();
    }
    listener.preparing(progress);
  }

  @Override
  public void warning(String message) {
    listener.warning(message);
  }
}
