package org.pretrain4j.checkpoints;

import java.io.IOException;
import org.pretrain4j.configuration.StorageException;

/**
 * A checkpoint could not be written, for example because the disk is full. What was published
 * before is untouched.
 */
public final class CheckpointWriteException extends StorageException {
  private static final long serialVersionUID = 1L;

  CheckpointWriteException(String what, Throwable cause) {
    super(
        "%s: %s; the checkpoints published before are untouched; mend this or choose another folder"
            .formatted(what, reason(cause)),
        cause);
  }

  /** For a rank whose own part is written, of a save that failed on another one. */
  public static CheckpointWriteException onRank(int rank) {
    return new CheckpointWriteException(
        "the last checkpoint is not complete",
        new IOException("rank " + rank + " could not write its shard, its log says why"));
  }

  private static String reason(Throwable cause) {
    String message = cause.getMessage();
    return message == null ? cause.getClass().getSimpleName() : message.lines().findFirst().get();
  }
}
