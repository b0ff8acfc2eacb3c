package org.pretrain4j.trainer.run;

import org.pretrain4j.configuration.UserException;

/** The run's numbers went wrong in a way that starting again would only repeat. */
public final class DivergedException extends UserException {
  private static final long serialVersionUID = 1L;

  DivergedException(String message) {
    super(message);
  }
}
