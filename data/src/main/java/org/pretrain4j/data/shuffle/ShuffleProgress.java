package org.pretrain4j.data.shuffle;

import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.ProgressMeter;

/** How far a shuffle is: each of its two passes handles the bytes of the dataset once. */
final class ShuffleProgress {
  private final ProgressMeter meter;
  private final long bytes;
  private final ShufflePlan plan;

  /**
   * @param bytes of the source's shards
   * @param chunks that an earlier start of the job has dealt
   * @param shards that it has written
   */
  ShuffleProgress(
      PreparationListener listener, long bytes, ShufflePlan plan, int chunks, int shards) {
    this.bytes = bytes;
    this.plan = plan;
    long dealt = Math.min(plan.sequences(), chunks * plan.perShard());
    this.meter = new ProgressMeter(listener, 2 * bytes, bytesDealt(dealt) + bytesWritten(shards));
  }

  private long bytesDealt(long sequences) {
    return (long) ((double) bytes * sequences / plan.sequences());
  }

  private long bytesWritten(int shards) {
    return (long) ((double) bytes * shards / plan.buckets());
  }

  /** The first pass has dealt a sequence. */
  void scattered(long sequence) {
    meter.report(bytesDealt(sequence + 1), false);
  }

  /** The second pass has written so many shards. */
  void gathered(int shards, long shardTokens) {
    meter.wrote(Math.toIntExact(shardTokens));
    meter.report(bytes + bytesWritten(shards), shards == plan.buckets());
  }
}
