package org.pretrain4j.checkpoints;

import org.pretrain4j.configuration.UserException;

/** A checkpoint is not what was written: the message names the file and what is wrong with it. */
public final class DamagedCheckpointException extends UserException {
  private static final long serialVersionUID = 1L;

  DamagedCheckpointException(String message) {
    super(message);
  }

  DamagedCheckpointException(String message, Throwable cause) {
    super(message, cause);
  }
}
