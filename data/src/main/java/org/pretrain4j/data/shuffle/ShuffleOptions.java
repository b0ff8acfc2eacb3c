package org.pretrain4j.data.shuffle;

import java.io.Serializable;
import org.pretrain4j.configuration.UserException;

/**
 * How a dataset is shuffled.
 *
 * @param sequenceLength of the training that will read the result; it cannot be read with another
 * @param seed another seed gives another order, for example one for each epoch
 * @param shardTokens about how many tokens a shard of the result has; the job needs some 12 bytes
 *     of memory for each
 */
public record ShuffleOptions(int sequenceLength, long seed, long shardTokens)
    implements Serializable {
  public static final long DEFAULT_SHARD_TOKENS = 1L << 25;

  public ShuffleOptions {
    if (sequenceLength < 1) {
      throw new UserException("sequence_length: " + sequenceLength + "; expected 1 or more");
    }
    if (shardTokens <= sequenceLength || shardTokens > 1L << 30) {
      throw new UserException(
          "shard_tokens: "
              + shardTokens
              + "; expected more than sequence_length, up to 1073741824");
    }
  }
}
