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
  private final LongWork work;

  PreparationMessages(TrainingListener listener, StopRequest stop, LongWork work) {
    this.listener = listener;
    this.stop = stop;
    this.work = work;
  }

  @Override
  public void progress(Progress progress) {
    work.alive();
    if (stop.isWanted()) {
      throw new LongWork.Stopped();
    }
    listener.preparing(progress);
  }

  @Override
  public void warning(String message) {
    listener.warning(message);
  }
}
