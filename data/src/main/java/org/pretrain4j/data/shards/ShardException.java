package org.pretrain4j.data.shards;

import org.pretrain4j.configuration.UserException;

/**
 * A shard or manifest that is missing, damaged or of another kind than expected; names the file.
 */
public final class ShardException extends UserException {
  private static final long serialVersionUID = 1L;

  private final String file;
  private final boolean unreachable;

  ShardException(String file, String problem) {
    this(file, problem, null);
  }

  ShardException(String file, String problem, Throwable cause) {
    this(file, problem, cause, false);
  }

  private ShardException(String file, String problem, Throwable cause, boolean unreachable) {
    super(file + ": " + problem, cause);
    this.file = file;
    this.unreachable = unreachable;
  }

  /** The storage did not answer, which says nothing about the file. */
  static ShardException unreachable(String file, Throwable cause) {
    return new ShardException(file, "cannot be read: " + cause.getMessage(), cause, true);
  }

  /** True if the file could not be reached; false if it is missing or not what it should be. */
  public boolean isUnreachable() {
    return unreachable;
  }

  public String file() {
    return file;
  }
}
