package org.pretrain4j.trainer.parallel.cluster;

/** The ranks of a run don't find each other, or lost their connection. */
public class RendezvousException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public RendezvousException(String message) {
    super(message);
  }

  public RendezvousException(String message, Throwable cause) {
    super(message, cause);
  }
}
