package org.pretrain4j.data.shards;

import org.pretrain4j.configuration.UserException;

/**
 * A shard or manifest that is missing, damaged or of another kind than expected; names the file.
 */
public final class ShardException extends UserException {
  private static final long serialVersionUID = 1L;

  private final String file;

  ShardException(String file, String problem) {
    this(file, problem, null);
  }

  ShardException(String file, String problem, Throwable cause) {
    super(file + ": " + problem, cause);
    this.file = file;
  }

  public String file() {
    return file;
  }
}
