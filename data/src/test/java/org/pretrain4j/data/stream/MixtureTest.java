package org.pretrain4j.data.stream;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.pretrain4j.configuration.UserException;

class MixtureTest {
  /** The rule as the recipe states it, by replay. */
  private static int[] naive(double[] weights, int samples) {
    double sum = Arrays.stream(weights).sum();
    int[] picks = new int[samples];
    long[] count = new long[weights.length];
    for (int n = 0; n < samples; n++) {
      int best = -1;
      double most = 0;
      for (int i = 0; i < weights.length; i++) {
        double deficit = weights[i] / sum * Math.max(n, 1) - count[i];
        if (weights[i] > 0 && (best < 0 || deficit > most)) {
          best = i;
          most = deficit;
        }
      }
      count[best]++;
      picks[n] = best;
    }
    return picks;
  }

  @Test
  void theFirstBlockIsTheRecipesPick() {
    for (double[] weights :
        new double[][] {{0.85, 0.12, 0.03}, {1, 1, 1}, {0, 2, 0, 3}, {5}, SmolLm3Plan.STAGES[2]}) {
      Mixture mixture = new Mixture(weights);
      int[] picks = naive(weights, 200_000);
      long[] count = new long[weights.length];
      for (int n = 0; n < picks.length; n++) {
        assertEquals(
            new Mixture.Pick(picks[n], count[picks[n]]),
            mixture.pick(n),
            Arrays.toString(weights) + " at " + n);
        count[picks[n]]++;
      }
      assertArrayEquals(count, mixture.counts(picks.length));
    }
  }

  @Test
  void laterBlocksDealOnFromTheirBoundaries() {
    for (double[] weights : new double[][] {{0.85, 0.12, 0.03}, {1, 1, 1}, {0.5, 0, 0.5}}) {
      Mixture mixture = new Mixture(weights);
      long from = 2L * Mixture.BLOCK - 1000;
      long[] count = mixture.counts(from);
      for (long n = from; n < from + 3000; n++) {
        Mixture.Pick pick = mixture.pick(n);
        assertEquals(count[pick.dataset()]++, pick.ordinal(), "sample " + n);
        assertTrue(weights[pick.dataset()] > 0);
      }
      assertArrayEquals(count, mixture.counts(from + 3000));
    }
  }

  @Test
  void countsSumToTheSamplesAndStayWithinOneOfTheQuota() {
    long seed = 5;
    Random random = new Random(seed);
    double[] weights = SmolLm3Plan.STAGES[0];
    double sum = Arrays.stream(weights).sum();
    Mixture mixture = new Mixture(weights);
    for (int i = 0; i < 12; i++) {
      long n = i < 4 ? (long) i * Mixture.BLOCK : random.nextLong(2_700_000_000L);
      long[] counts = mixture.counts(n);
      assertEquals(n, Arrays.stream(counts).sum());
      for (int d = 0; d < weights.length; d++) {
        double off = counts[d] - weights[d] / sum * n;
        assertTrue(off < 2, "seed " + seed + ": " + off + " over at " + n);
        assertTrue(off > -2.5, "seed " + seed + ": " + off + " under at " + n);
      }
    }
  }

  @Test
  void atTheEndOfABlockCountsAreWithinOneOfTheQuotaAndNeverShrink() {
    double[] weights = SmolLm3Plan.STAGES[1];
    double sum = Arrays.stream(weights).sum();
    Mixture mixture = new Mixture(weights);
    long[] before = new long[weights.length];
    for (long block = 1; block < 3000; block++) {
      long[] counts = mixture.counts(block * Mixture.BLOCK);
      for (int d = 0; d < weights.length; d++) {
        assertTrue(counts[d] >= before[d]);
        double off = counts[d] - weights[d] / sum * block * Mixture.BLOCK;
        assertEquals(0, off, block == 1 ? 2 : 1, "dataset " + d + ", block " + block);
      }
      before = counts;
    }
  }

  @Test
  void whatCannotBeDealtIsRefused() {
    assertThrows(UserException.class, () -> new Mixture(0, 0));
    assertThrows(UserException.class, () -> new Mixture(1, -1));
    assertThrows(UserException.class, () -> new Mixture(1, Double.NaN));
    assertThrows(UserException.class, () -> new Mixture(1, 1e-9));
    assertThrows(UserException.class, () -> new Mixture());
  }
}
