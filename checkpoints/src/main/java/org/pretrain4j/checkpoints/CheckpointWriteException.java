package org.pretrain4j.checkpoints;

import org.pretrain4j.configuration.UserException;

/**
 * A checkpoint could not be written, for example because the disk is full. What was published
 * before is untouched.
 */
public final class CheckpointWriteException extends UserException {
  private static final long serialVersionUID = 1L;

  CheckpointWriteException(String what, Throwable cause) {
    super(
        "%s: %s; the checkpoints published before are untouched; mend this or choose another folder"
            .formatted(what, reason(cause)),
        cause);
  }

  private static String reason(Throwable cause) {
    String message = cause.getMessage();
    return message == null ? cause.getClass().getSimpleName() : message.lines().findFirst().get();
  }
}
