package org.pretrain4j.data.shards;

import java.util.LinkedHashMap;
import java.util.Map;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.random.SplitMix64;

/**
 * A dataset as an endless list of sequences. Each shard is cut into windows of sequence length + 1
 * tokens that do not overlap; a tail that is shorter is dropped. One epoch reads each window once:
 * the shards in an order that is drawn anew for each epoch, each from its beginning to its end.
 *
 * <p>Needs 8 bytes for each shard besides the manifest, whatever the number of tokens; finding a
 * sequence takes a binary search over the shards.
 */
public final class SequenceWindows {
  private static final int KEPT_EPOCHS = 3;
  private static final int SUBSTITUTES = 100;

  private final ShardedDataset dataset;
  private final String name;
  private final int sequenceLength;
  private final long seed;
  private final long perEpoch;
  private final Map<Long, EpochOrder> epochs =
      new LinkedHashMap<>(8, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, EpochOrder> eldest) {
          return size() > KEPT_EPOCHS;
        }
      };

  SequenceWindows(ShardedDataset dataset, String name, int sequenceLength, long seed) {
    if (sequenceLength < 1) {
      throw new UserException("sequence_length: " + sequenceLength + "; expected 1 or more");
    }
    int shuffledLength = dataset.manifest().sequenceLength();
    if (shuffledLength != 0 && shuffledLength != sequenceLength) {
      throw new UserException(
          "dataset '"
              + name
              + "' was shuffled in sequences of "
              + shuffledLength
              + ", but training.sequence_length is "
              + sequenceLength
              + "; shuffle it again for this length");
    }
    this.dataset = dataset;
    this.name = name;
    this.sequenceLength = sequenceLength;
    this.seed = seed;
    this.perEpoch = dataset.manifest().shards().stream().mapToLong(shard -> windowsIn(shard)).sum();
    if (perEpoch == 0) {
      throw new UserException(
          "dataset '"
              + name
              + "' has "
              + dataset.manifest().tokens()
              + " tokens in "
              + dataset.manifest().shards().size()
              + " shards, less than one sequence of "
              + (sequenceLength + 1L)
              + " in each; give it more text or shorten training.sequence_length");
    }
  }

  private long windowsIn(ShardEntry shard) {
    return shard.tokens() / (sequenceLength + 1L);
  }

  public String name() {
    return name;
  }

  public ShardedDataset dataset() {
    return dataset;
  }

  public int sequenceLength() {
    return sequenceLength;
  }

  /** Sequences in one pass over the dataset. */
  public long perEpoch() {
    return perEpoch;
  }

  /**
   * @param sample number of the sequence since the beginning of training, from 0; sequence {@code
   *     perEpoch()} begins the second epoch
   * @throws ShardException if the shard is missing or damaged and the policy is to stop, or it
   *     cannot be reached
   */
  public Sequence read(long sample) {
    try {
      return readWindow(sample);
    } catch (ShardException e) {
      if (e.isUnreachable() || dataset.policy().quarantine().isEmpty()) {
        throw e;
      }
      return substitute(sample, e);
    }
  }

  private Sequence readWindow(long sample) {
    EpochOrder order = order(sample / perEpoch);
    long inEpoch = sample % perEpoch;
    int place = order.find(inEpoch);
    long window = inEpoch - order.before[place];
    return dataset.read(order.shards[place], window * (sequenceLength + 1L), sequenceLength + 1);
  }

  /**
   * Another sequence of the same epoch in place of a damaged one. Which one depends on the sample
   * and on what is damaged, so that every rank and every resumed run chooses the same.
   */
  private Sequence substitute(long sample, ShardException damage) {
    SplitMix64 random = SplitMix64.of(seed, SplitMix64.key(name), sample, SUBSTITUTES);
    long epochStart = sample / perEpoch * perEpoch;
    for (int i = 0; i < SUBSTITUTES; i++) {
      try {
        long candidate = Long.remainderUnsigned(random.nextLong(), perEpoch);
        return readWindow(epochStart + candidate).asSubstitute();
      } catch (ShardException e) {
        if (e.isUnreachable()) {
          throw e;
        }
      }
    }
    throw new ShardException(
        damage.file(),
        "dataset '" + name + "' is too damaged: no substitute found in " + SUBSTITUTES + " tries",
        damage);
  }

  private EpochOrder order(long epoch) {
    synchronized (epochs) {
      return epochs.computeIfAbsent(epoch, this::drawOrder);
    }
  }

  private EpochOrder drawOrder(long epoch) {
    var shards = dataset.manifest().shards();
    int[] order = SplitMix64.of(seed, SplitMix64.key(name), epoch).permutation(shards.size());
    long[] before = new long[order.length + 1];
    for (int i = 0; i < order.length; i++) {
      before[i + 1] = before[i] + windowsIn(shards.get(order[i]));
    }
    return new EpochOrder(order, before);
  }

  /**
   * @param shards numbers of the shards in the order of reading
   * @param before windows in all shards before a place
   */
  private record EpochOrder(int[] shards, long[] before) {
    /** The last place that begins at or before a window: empty shards have no window. */
    int find(long window) {
      int low = 0;
      int high = shards.length - 1;
      while (low < high) {
        int middle = (low + high + 1) >>> 1;
        if (before[middle] <= window) {
          low = middle;
        } else {
          high = middle - 1;
        }
      }
      return low;
    }
  }
}
