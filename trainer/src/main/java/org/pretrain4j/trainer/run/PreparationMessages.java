package org.pretrain4j.trainer.run;

import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.Progress;

/** Tells a run's listener how the preparation of its data goes on. */
final class PreparationMessages implements PreparationListener {
  private final TrainingListener listener;

  PreparationMessages(TrainingListener listener) {
    this.listener = listener;
  }

  @Override
  public void progress(Progress progress) {
    listener.preparing(progress);
  }

  @Override
  public void warning(String message) {
    listener.warning(message);
  }
}
