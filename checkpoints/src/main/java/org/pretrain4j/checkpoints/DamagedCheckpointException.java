package org.pretrain4j.checkpoints;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import org.pretrain4j.checkpoints.storage.ChecksumException;
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

  /** Whether its bytes are known to be other ones; else they could not be read, perhaps not now. */
  boolean isCertain() {
    return !(getCause() instanceof IOException cause)
        || cause instanceof ChecksumException
        || cause instanceof EOFException
        || cause instanceof FileNotFoundException
        || cause instanceof JsonProcessingException;
  }
}
