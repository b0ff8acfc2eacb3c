package org.pretrain4j.data.shuffle;

import java.io.IOException;
import java.io.Serializable;
import java.util.List;
import java.util.Locale;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.random.SplitMix64;
import org.pretrain4j.data.shards.Sequence;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.shards.ShardWriter;
import org.pretrain4j.data.shards.TokenizerIdentity;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.TokenizeOptions;

/**
 * Where the sequences of a shuffled dataset lie. It depends on the seed and the sequences' numbers
 * alone, so that any engine that follows it writes the same shards.
 *
 * @param sequences of the source
 */
public record ShufflePlan(ShuffleOptions options, long sequences) implements Serializable {
  /** About how many sequences go into a shard. */
  public long perShard() {
    return Math.max(1, options.shardTokens() / (options.sequenceLength() + 1L));
  }

  /** Number of buckets; each becomes a shard. */
  public int buckets() {
    return Math.toIntExact((sequences + perShard() - 1) / perShard());
  }

  /** The bucket that a sequence of the source is dealt to. */
  public int bucketOf(long sequence) {
    return SplitMix64.of(options.seed(), sequence).nextInt(buckets());
  }

  /**
   * Shuffles a bucket and writes it as a shard.
   *
   * @param dealt the bucket's sequences in the order of the source
   * @throws UserException if there are none
   */
  public ShardEntry writeShard(
      Storage storage, Path folder, TokenizerIdentity tokenizer, int bucket, List<Sequence> dealt)
      throws IOException {
    if (dealt.isEmpty()) {
      throw new UserException(
          "shard_tokens: " + options.shardTokens() + " is too small for a shuffle; raise it");
    }
    Path shard = new Path(folder, String.format(Locale.ROOT, "shard-%05d.arrow", bucket));
    int blockTokens = Math.max(TokenizeOptions.DEFAULT_BLOCK_TOKENS, options.sequenceLength() + 1);
    try (ShardWriter writer = new ShardWriter(storage, shard, tokenizer, blockTokens)) {
      for (int i : SplitMix64.of(options.seed(), bucket, -1).permutation(dealt.size())) {
        writer.add(dealt.get(i));
      }
      return writer.finish();
    }
  }
}
