package org.pretrain4j.data.stream;

import java.util.Arrays;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/** Which dataset each sample of one block of a {@link Mixture} comes from. */
final class BlockPicks {
  private static final int BLOCK = Mixture.BLOCK;
  // Counts are kept at every so many samples, and the rest is counted when asked.
  private static final int STRIDE = 1 << 10;

  private final short[] picks;
  private final int[][] counts;

  private BlockPicks(short[] picks, int datasets) {
    this.picks = picks;
    this.counts = new int[BLOCK / STRIDE + 1][];
    int[] running = new int[datasets];
    for (int n = 0; n < BLOCK; n++) {
      if (n % STRIDE == 0) {
        counts[n / STRIDE] = running.clone();
      }
      running[picks[n]]++;
    }
    counts[BLOCK / STRIDE] = running;
  }

  /** The plain rule: largest {@code weight * max(n, 1) - count}. */
  static BlockPicks byWeights(double[] weights) {
    int[] datasets = positive(weights.length, i -> weights[i] > 0);
    short[] picks = new short[BLOCK];
    int[] count = new int[weights.length];
    for (int n = 0; n < BLOCK; n++) {
      int times = Math.max(n, 1);
      int best = datasets[0];
      double most = Double.NEGATIVE_INFINITY;
      for (int i : datasets) {
        double deficit = weights[i] * times - count[i];
        if (deficit > most) {
          most = deficit;
          best = i;
        }
      }
      count[best]++;
      picks[n] = (short) best;
    }
    return new BlockPicks(picks, weights.length);
  }

  /**
   * The same rule with weights quota / BLOCK, in whole numbers. Deficits stay above -1, so at the
   * end of the block, where they are whole and sum to zero, each is zero.
   */
  static BlockPicks byQuotas(int[] quotas) {
    int[] datasets = positive(quotas.length, i -> quotas[i] > 0);
    short[] picks = new short[BLOCK];
    long[] deficit = new long[quotas.length];
    for (int i : datasets) {
      deficit[i] = quotas[i];
    }
    for (int n = 0; n < BLOCK; n++) {
      int best = datasets[0];
      long most = Long.MIN_VALUE;
      for (int i : datasets) {
        if (deficit[i] > most) {
          most = deficit[i];
          best = i;
        }
      }
      picks[n] = (short) best;
      deficit[best] -= BLOCK;
      // max(n, 1): samples 0 and 1 see the same quotas.
      if (n > 0) {
        for (int i : datasets) {
          deficit[i] += quotas[i];
        }
      }
    }
    return new BlockPicks(picks, quotas.length);
  }

  private static int[] positive(int length, IntPredicate isPositive) {
    return IntStream.range(0, length).filter(isPositive).toArray();
  }

  int dataset(int n) {
    return picks[n];
  }

  int countBefore(int n, int dataset) {
    int count = counts[n / STRIDE][dataset];
    for (int i = n / STRIDE * STRIDE; i < n; i++) {
      if (picks[i] == dataset) {
        count++;
      }
    }
    return count;
  }

  void addCountsBefore(int n, long[] into) {
    int[] kept = counts[n / STRIDE];
    Arrays.setAll(into, i -> into[i] + kept[i]);
    for (int i = n / STRIDE * STRIDE; i < n; i++) {
      into[picks[i]]++;
    }
  }
}
