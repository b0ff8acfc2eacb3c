package org.pretrain4j.data.stream;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.pretrain4j.configuration.UserException;

/**
 * Deals samples to datasets by exact quotas. Sample n goes to the dataset with the largest deficit
 * {@code weight * max(n, 1) - count}, the lower index at a tie; weights are normalised by their sum
 * (the blending of Megatron, NeMo and nanotron).
 *
 * <p>That rule would have to be replayed from the first sample. To find any sample at once, samples
 * come in blocks of {@value #BLOCK}: the first block is the plain rule; at the end of every later
 * block the counts are {@code weight * n}, rounded to sum to n by largest remainders; inside it,
 * the same rule deals towards the block's own whole-numbered quotas, which it meets exactly at its
 * end.
 *
 * <p>Thread-safe; keeps the picks of the last few blocks, 2 bytes a sample.
 */
public final class Mixture {
  /** Samples in a block. */
  public static final int BLOCK = 1 << 20;

  private static final int KEPT_BLOCKS = 3;

  private final double[] weights;
  private final Map<Long, BlockPicks> blocks =
      new LinkedHashMap<>(8, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, BlockPicks> eldest) {
          return size() > KEPT_BLOCKS;
        }
      };
  private long[] firstBlockCounts;

  /** Which dataset, and how many of its samples came before in this mixture. */
  public record Pick(int dataset, long ordinal) {}

  /**
   * @param weights of the datasets, not negative; need not sum to 1; a weight of 0 is never picked
   * @throws UserException if no weight is positive, or one is below a millionth of the sum
   */
  public Mixture(double... weights) {
    double sum = Arrays.stream(weights).sum();
    if (!(sum > 0) || Double.isInfinite(sum) || weights.length > Short.MAX_VALUE) {
      throw new UserException(
          "mixture weights " + Arrays.toString(weights) + "; expected positive numbers");
    }
    this.weights = new double[weights.length];
    for (int i = 0; i < weights.length; i++) {
      double share = weights[i] / sum;
      if (!(weights[i] >= 0) || (share > 0 && share < 1.0 / BLOCK)) {
        throw new UserException(
            "mixture weight "
                + weights[i]
                + " is "
                + (weights[i] >= 0 ? "less than a millionth of the sum" : "negative")
                + "; raise it or leave the dataset out");
      }
      this.weights[i] = share;
    }
  }

  /** Normalised weight of a dataset. */
  public double weight(int dataset) {
    return weights[dataset];
  }

  public int datasets() {
    return weights.length;
  }

  public Pick pick(long n) {
    long block = n / BLOCK;
    int inBlock = (int) (n % BLOCK);
    BlockPicks picks = picks(block);
    int dataset = picks.dataset(inBlock);
    return new Pick(dataset, boundary(block)[dataset] + picks.countBefore(inBlock, dataset));
  }

  /** Samples of each dataset among the first n. */
  public long[] counts(long n) {
    long block = n / BLOCK;
    int inBlock = (int) (n % BLOCK);
    long[] counts = boundary(block);
    if (inBlock > 0) {
      picks(block).addCountsBefore(inBlock, counts);
    }
    return counts;
  }

  /** Counts before a block. A new array. */
  private long[] boundary(long block) {
    if (block == 0) {
      return new long[weights.length];
    }
    if (block == 1) {
      return firstBlockCounts().clone();
    }
    return largestRemainders(Math.multiplyExact(block, BLOCK));
  }

  private synchronized long[] firstBlockCounts() {
    if (firstBlockCounts == null) {
      long[] counts = new long[weights.length];
      picks(0).addCountsBefore(BLOCK, counts);
      firstBlockCounts = counts;
    }
    return firstBlockCounts;
  }

  /** weight * n rounded down, what is missing given to the largest remainders. */
  private long[] largestRemainders(long n) {
    long[] counts = new long[weights.length];
    double[] remainders = new double[weights.length];
    long missing = n;
    for (int i = 0; i < weights.length; i++) {
      double share = weights[i] * n;
      counts[i] = (long) share;
      remainders[i] = share - counts[i];
      missing -= counts[i];
    }
    for (; missing > 0; missing--) {
      int largest = 0;
      for (int i = 1; i < weights.length; i++) {
        if (remainders[i] > remainders[largest]) {
          largest = i;
        }
      }
      counts[largest]++;
      remainders[largest] = -1;
    }
    if (missing < 0) {
      throw new IllegalStateException("more than n samples at n = " + n);
    }
    return counts;
  }

  private synchronized BlockPicks picks(long block) {
    BlockPicks picks = blocks.get(block);
    if (picks == null) {
      picks = deal(block);
      blocks.put(block, picks);
    }
    return picks;
  }

  private BlockPicks deal(long block) {
    if (block == 0) {
      return BlockPicks.byWeights(weights);
    }
    long[] before = boundary(block);
    long[] after = boundary(block + 1);
    int[] quotas = new int[weights.length];
    for (int i = 0; i < quotas.length; i++) {
      quotas[i] = Math.toIntExact(after[i] - before[i]);
      if (quotas[i] < 0) {
        throw new IllegalStateException("dataset " + i + " shrinks in block " + block);
      }
    }
    return BlockPicks.byQuotas(quotas);
  }
}
