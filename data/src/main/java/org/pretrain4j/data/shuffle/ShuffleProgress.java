package org.pretrain4j.data.shuffle;

import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.ProgressMeter;

/** How far a shuffle is: each of its passes moves all sequences once, the last one into shards. */
final class ShuffleProgress {
  private final ProgressMeter meter;
  private final ShufflePlan plan;
  private final double bytesPerMove;
  private long moved;

  /**
   * @param bytes of the source's shards
   * @param passes over all sequences, that into shards not counted
   * @param moved sequences that earlier starts of the job have moved, once for each pass
   * @param shards that they have written
   */
  ShuffleProgress(
      PreparationListener listener,
      long bytes,
      ShufflePlan plan,
      int passes,
      long moved,
      int shards) {
    this.plan = plan;
    this.bytesPerMove = (double) bytes / plan.sequences();
    this.moved = moved + (long) ((double) plan.sequences() * shards / plan.buckets());
    this.meter =
        new ProgressMeter(listener, (passes + 1) * bytes, (long) (this.moved * bytesPerMove));
  }

  /** A sequence was moved on. */
  void moved() {
    moved++;
    meter.report((long) (moved * bytesPerMove), false);
  }

  /** A shard was written. */
  void wrote(int shards, int sequences, long shardTokens) {
    moved += sequences;
    meter.wrote(Math.toIntExact(shardTokens));
    meter.report((long) Math.ceil(moved * bytesPerMove), shards == plan.buckets());
  }
}
