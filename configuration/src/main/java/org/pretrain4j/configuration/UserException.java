package org.pretrain4j.configuration;

/**
 * A mistake that the user can mend. The message is one line: the offending value, what was expected
 * and how to mend it. The command line prints it and exits non-zero, without a stack trace.
 */
public class UserException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public UserException(String message) {
    super(message);
  }

  public UserException(String message, Throwable cause) {
    super(message, cause);
  }
}
