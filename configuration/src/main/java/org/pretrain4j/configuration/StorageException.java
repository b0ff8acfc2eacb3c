package org.pretrain4j.configuration;

/**
 * A file system that refuses to read or to write for now: a full disk, a network that hiccups. The
 * configuration may be right, so the same command can succeed later; the command line ends with an
 * exit code of its own, which launchers try again.
 */
public class StorageException extends UserException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message one line: what could not be read or written, and how to mend it
   */
  public StorageException(String message, Throwable cause) {
    super(message, cause);
  }
}
