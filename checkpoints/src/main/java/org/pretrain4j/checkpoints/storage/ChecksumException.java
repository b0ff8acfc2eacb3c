package org.pretrain4j.checkpoints.storage;

import java.io.IOException;

/** Bytes that were read are not the bytes that were written. */
public final class ChecksumException extends IOException {
  private static final long serialVersionUID = 1L;

  public ChecksumException(String message) {
    super(message);
  }
}
