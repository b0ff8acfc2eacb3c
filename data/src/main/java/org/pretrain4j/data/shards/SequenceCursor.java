package org.pretrain4j.data.shards;

import java.util.List;
import org.pretrain4j.configuration.UserException;

/** The sequences of a dataset in the order of its shards, for jobs that read everything once. */
public final class SequenceCursor {
  private final ShardedDataset dataset;
  private final int tokens;
  private final long[] before;

  SequenceCursor(ShardedDataset dataset, int sequenceLength) {
    List<ShardEntry> shards = dataset.manifest().shards();
    this.dataset = dataset;
    this.tokens = sequenceLength + 1;
    this.before = new long[shards.size() + 1];
    for (int i = 0; i < shards.size(); i++) {
      before[i + 1] = before[i] + shards.get(i).tokens() / tokens;
    }
    if (size() == 0) {
      throw new UserException(
          dataset.folder().toUri().getPath()
              + ": no shard holds one sequence of "
              + tokens
              + " tokens");
    }
  }

  /** Sequences in all. */
  public long size() {
    return before[before.length - 1];
  }

  /**
   * @throws ShardException if the shard is missing or damaged
   */
  public Sequence read(long number) {
    int low = 0;
    int high = before.length - 2;
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (before[middle] <= number) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return dataset.read(low, (number - before[low]) * tokens, tokens);
  }
}
