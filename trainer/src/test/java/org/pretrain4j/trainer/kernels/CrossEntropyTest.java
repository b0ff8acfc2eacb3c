package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CrossEntropyTest {
  private static final WorkerPool POOL = new WorkerPool(2);

  @AfterAll
  static void close() {
    POOL.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, 2, true, true", "7, 33, true, true", "5, 64, true, true", "3, 9001, true, true",
    "1, 2, false, false", "7, 33, false, false", "3, 9001, false, false", "7, 33, false, true"
  })
  void agreesWithTheFormula(int rows, int vocab, boolean bfloat16, boolean gradientBfloat16) {
    long seed = rows * 10_000L + vocab;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    Matrix logits = OffHeap.gaussian(random, rows, vocab, bfloat16, 3);
    int[] targets = random.ints(rows, 0, vocab).toArray();
    if (rows > 2) {
      targets[1] = CrossEntropy.MASKED;
    }
    float scale = 0.25f;
    double expectedLoss = 0;
    double[][] expected = new double[rows][vocab];
    for (int row = 0; row < rows; row++) {
      if (targets[row] != CrossEntropy.MASKED) {
        expectedLoss += loss(OffHeap.row(logits, row), targets[row]);
        expected[row] = gradient(OffHeap.row(logits, row), targets[row], scale);
      }
    }
    boolean inPlace = bfloat16 == gradientBfloat16;
    Matrix dLogits = inPlace ? logits : OffHeap.zeros(rows, vocab, gradientBfloat16);
    double loss = CrossEntropy.forwardBackward(POOL, logits, targets, scale, dLogits);
    assertEquals(expectedLoss, loss, 1e-6 * expectedLoss);
    for (int row = 0; row < rows; row++) {
      double[] actual = OffHeap.row(dLogits, row);
      for (int i = 0; i < vocab; i++) {
        double tolerance = gradientBfloat16 ? Math.pow(2, -8) : 2e-6;
        assertEquals(
            expected[row][i], actual[i], 1.001 * tolerance * Math.abs(expected[row][i]) + 1e-12);
      }
    }
  }

  @Test
  void theGradientIsThatOfTheLoss() {
    double[] logits = {0.3, -1.2, 2.5, 0.7};
    double[] expected =
        Gradients.central(x -> new double[] {loss(x, 2)}, logits, new double[] {0.5});
    assertArrayEquals(expected, gradient(logits, 2, 0.5), 1e-9);
  }

  @Test
  void largeAndMinusInfiniteLogitsAreHarmless() {
    float[] values = {3e4f, -3e4f, Float.NEGATIVE_INFINITY, 3e4f};
    Matrix logits = OffHeap.matrix(values, 1, 4, false);
    double loss = CrossEntropy.forwardBackward(POOL, logits, new int[] {0}, 1, logits);
    assertEquals(Math.log(2), loss, 1e-7);
    assertArrayEquals(new float[] {-0.5f, 0, 0, 0.5f}, OffHeap.values(logits), 1e-7f);
  }

  @Test
  void aNaNReachesTheLoss() {
    for (int vocab : new int[] {3, 40}) {
      float[] values = new float[vocab];
      values[vocab - 2] = Float.NaN;
      Matrix logits = OffHeap.matrix(values, 1, vocab, true);
      double loss = CrossEntropy.forwardBackward(POOL, logits, new int[] {0}, 1, logits);
      assertTrue(Double.isNaN(loss));
    }
  }

  @Test
  void bitsDoNotDependOnThreads() {
    Random random = new Random(3);
    float[] values = OffHeap.gaussian(random, 31 * 501, 3);
    int[] targets = random.ints(31, 0, 501).toArray();
    Matrix first = OffHeap.matrix(values, 31, 501, true);
    double loss = CrossEntropy.forwardBackward(POOL, first, targets, 0.1f, first);
    for (int threads = 1; threads < 5; threads++) {
      Matrix logits = OffHeap.matrix(values, 31, 501, true);
      try (WorkerPool pool = new WorkerPool(threads)) {
        assertEquals(loss, CrossEntropy.forwardBackward(pool, logits, targets, 0.1f, logits));
      }
      assertEquals(-1, first.memory().mismatch(logits.memory()));
    }
  }

  @Test
  void refusesATargetOutsideOfTheVocabulary() {
    Matrix logits = OffHeap.zeros(1, 4, true);
    for (int target : new int[] {4, -1}) {
      assertThrows(
          IllegalArgumentException.class,
          () -> CrossEntropy.forwardBackward(POOL, logits, new int[] {target}, 1, logits));
    }
  }

  private static double loss(double[] logits, int target) {
    double max = Double.NEGATIVE_INFINITY;
    for (double logit : logits) {
      max = Math.max(max, logit);
    }
    double sum = 0;
    for (double logit : logits) {
      sum += Math.exp(logit - max);
    }
    return Math.log(sum) + max - logits[target];
  }

  private static double[] gradient(double[] logits, int target, double scale) {
    double[] gradient = new double[logits.length];
    double logSum = loss(logits, target) + logits[target];
    for (int i = 0; i < logits.length; i++) {
      double probability = Math.exp(logits[i] - logSum);
      gradient[i] = scale * (probability - (i == target ? 1 : 0));
    }
    return gradient;
  }
}
