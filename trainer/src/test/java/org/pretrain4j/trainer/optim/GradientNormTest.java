package org.pretrain4j.trainer.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.math.BigDecimal;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.pretrain4j.trainer.kernels.OffHeap;
import org.pretrain4j.trainer.kernels.WorkerPool;

class GradientNormTest {
  private static final WorkerPool POOL = new WorkerPool(2);

  @AfterAll
  static void close() {
    POOL.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 15, 16, 17, 65_536, 65_537, 200_003})
  void isTheSumOfSquares(int elements) {
    float[] gradient = OffHeap.gaussian(new Random(elements), elements, 1e-3);
    BigDecimal exact = BigDecimal.ZERO;
    for (float g : gradient) {
      exact = exact.add(new BigDecimal(g).pow(2));
    }
    double expected = exact.doubleValue();
    double actual = GradientNorm.sumOfSquares(POOL, OffHeap.floats(gradient));
    assertEquals(expected, actual, 1e-13 * expected);
  }

  @Test
  void bitsDoNotDependOnThreads() {
    MemorySegment gradient = OffHeap.floats(OffHeap.gaussian(new Random(5), 500_001, 1));
    double expected = GradientNorm.sumOfSquares(POOL, gradient);
    for (int threads = 1; threads < 5; threads++) {
      try (WorkerPool pool = new WorkerPool(threads)) {
        assertEquals(expected, GradientNorm.sumOfSquares(pool, gradient));
      }
    }
  }

  @Test
  void theNormIsTheSameForAnyWorldSize() {
    float[] values = OffHeap.gaussian(new Random(6), 300_000, 1);
    MemorySegment gradient = OffHeap.floats(values);
    double whole = GradientNorm.norm(new double[] {GradientNorm.sumOfSquares(POOL, gradient)}, 0.5);
    for (int world : new int[] {2, 3, 4, 7, 384}) {
      double[] squares = new double[world];
      for (int rank = 0; rank < world; rank++) {
        long from = 300_000L * rank / world;
        long to = 300_000L * (rank + 1) / world;
        squares[rank] =
            GradientNorm.sumOfSquares(POOL, gradient.asSlice(4 * from, 4 * (to - from)));
      }
      assertEquals(whole, GradientNorm.norm(squares, 0.5));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 17, 99_999, 100_002})
  void oneElementThatIsNotFiniteShows(int position) {
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      float[] gradient = OffHeap.gaussian(new Random(7), 100_003, 1);
      gradient[position] = bad;
      double sum = GradientNorm.sumOfSquares(POOL, OffHeap.floats(gradient));
      assertFalse(Double.isFinite(sum));
      assertFalse(Double.isFinite(GradientNorm.norm(new double[] {1, sum, 1}, 0.1)));
    }
  }

  @Test
  void theLargestFloatsDoNotOverflowTheSum() {
    MemorySegment gradient = OffHeap.floats(Float.MAX_VALUE, -Float.MAX_VALUE);
    double sum = GradientNorm.sumOfSquares(POOL, gradient);
    assertEquals(2 * Math.pow(Float.MAX_VALUE, 2), sum);
  }

  @Test
  void clippingBringsALargeNormToTheLimitAndLeavesASmallOne() {
    assertEquals(1, GradientNorm.clippingCoefficient(0.5, 1));
    assertEquals(0.25, GradientNorm.clippingCoefficient(4, 1), 1e-6);
    assertEquals(1 / 4.000001, GradientNorm.clippingCoefficient(4, 1), 1e-15);
    assertEquals(1, GradientNorm.clippingCoefficient(0, 1));
    assertThrows(
        IllegalArgumentException.class, () -> GradientNorm.clippingCoefficient(Double.NaN, 1));
  }
}
