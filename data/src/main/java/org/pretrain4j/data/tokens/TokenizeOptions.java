package org.pretrain4j.data.tokens;

import java.io.Serializable;
import org.pretrain4j.configuration.UserException;

/**
 * How a corpus is tokenized. Only the first four decide the content of the shards.
 *
 * @param shardTokens a shard ends with the document that reaches this many tokens
 * @param blockTokens largest number of tokens in a record batch, the unit of reading and caching
 * @param worker this machine's number, from 0
 * @param workers number of machines that share the inputs: worker i takes inputs i, i+workers, ...
 * @param threads tokenizing threads
 */
public record TokenizeOptions(
    long shardTokens, int blockTokens, int worker, int workers, int threads)
    implements Serializable {
  public static final long DEFAULT_SHARD_TOKENS = 1L << 28;
  public static final int DEFAULT_BLOCK_TOKENS = 1 << 18;

  public TokenizeOptions {
    atLeast("shard_tokens", shardTokens, 1);
    atLeast("block_tokens", blockTokens, 1);
    if (blockTokens > 1 << 24) {
      throw new UserException("block_tokens: " + blockTokens + " is too large; expected up to 16M");
    }
    atLeast("workers", workers, 1);
    if (worker < 0 || worker >= workers) {
      throw new UserException(
          "worker: " + worker + " of " + workers + "; expected 0 to " + (workers - 1));
    }
    atLeast("threads", threads, 1);
  }

  private static void atLeast(String name, long value, long least) {
    if (value < least) {
      throw new UserException(
          name + ": " + value + " is too small; expected " + least + " or more");
    }
  }

  public static TokenizeOptions defaults() {
    return new TokenizeOptions(
        DEFAULT_SHARD_TOKENS,
        DEFAULT_BLOCK_TOKENS,
        0,
        1,
        Runtime.getRuntime().availableProcessors());
  }

  public TokenizeOptions withWorker(int worker, int workers) {
    return new TokenizeOptions(shardTokens, blockTokens, worker, workers, threads);
  }

  public TokenizeOptions withThreads(int threads) {
    return new TokenizeOptions(shardTokens, blockTokens, worker, workers, threads);
  }
}
