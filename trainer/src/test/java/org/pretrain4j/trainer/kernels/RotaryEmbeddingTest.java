package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RotaryEmbeddingTest {
  private static final WorkerPool POOL = new WorkerPool(2);
  private static final double THETA = 50_000;

  @AfterAll
  static void close() {
    POOL.close();
  }

  @ParameterizedTest
  @CsvSource({
    "2, 3, 1, true",
    "6, 2, 1, true",
    "40, 3, 1, true",
    "64, 4, 2, true",
    "128, 2, 1, true",
    "2, 3, 1, false",
    "6, 2, 1, false",
    "40, 3, 1, false",
    "64, 4, 2, false"
  })
  void agreesWithTheFormulaAndBackwardIsItsTranspose(
      int headDim, int rotated, int kept, boolean bfloat16) {
    long seed = headDim * 100L + rotated;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    int sequence = 25;
    int rows = 2 * sequence;
    int width = (rotated + kept) * headDim;
    Matrix qkv = OffHeap.gaussian(random, rows, width, bfloat16, 1);
    double[][] before = new double[rows][];
    for (int row = 0; row < rows; row++) {
      before[row] = OffHeap.row(qkv, row);
    }
    RotaryEmbedding rope = new RotaryEmbedding(POOL, sequence + 3, headDim, THETA);
    rope.forward(qkv, rotated, sequence);
    double tolerance = Gradients.tolerance(bfloat16);
    for (int row = 0; row < rows; row++) {
      double[] expected = rotated(before[row], row % sequence, rotated, headDim, 1);
      Gradients.assertClose(expected, OffHeap.row(qkv, row), tolerance, "row " + row);
    }
    Matrix gradient = OffHeap.gaussian(random, rows, width, bfloat16, 1);
    for (int row = 0; row < rows; row++) {
      before[row] = OffHeap.row(gradient, row);
    }
    rope.backward(gradient, rotated, sequence);
    for (int row = 0; row < rows; row++) {
      double[] expected = rotated(before[row], row % sequence, rotated, headDim, -1);
      Gradients.assertClose(expected, OffHeap.row(gradient, row), tolerance, "row " + row);
    }
  }

  @Test
  void positionZeroAndTheValuesStayBitForBit() {
    Matrix qkv = OffHeap.gaussian(new Random(2), 4, 40, true, 1);
    float[] before = OffHeap.values(qkv);
    new RotaryEmbedding(POOL, 4, 8, THETA).forward(qkv, 3, 4);
    float[] after = OffHeap.values(qkv);
    int changed = 0;
    for (int i = 0; i < before.length; i++) {
      if (i < 40 || i % 40 >= 24) {
        assertEquals(before[i], after[i], "element " + i);
      } else {
        changed += before[i] == after[i] ? 0 : 1;
      }
    }
    assertTrue(changed > 30, "changed " + changed);
  }

  @Test
  void refusesWhatDoesNotFit() {
    RotaryEmbedding rope = new RotaryEmbedding(POOL, 4, 8, THETA);
    Matrix qkv = OffHeap.zeros(4, 40, true);
    assertThrows(IllegalArgumentException.class, () -> rope.forward(qkv, 6, 4));
    assertThrows(IllegalArgumentException.class, () -> rope.forward(qkv, 5, 5));
    assertThrows(IllegalArgumentException.class, () -> new RotaryEmbedding(POOL, 4, 7, THETA));
  }

  private static double[] rotated(
      double[] row, int position, int heads, int headDim, int direction) {
    double[] result = row.clone();
    int half = headDim / 2;
    for (int head = 0; head < heads; head++) {
      for (int i = 0; i < half; i++) {
        double angle = direction * position * Math.pow(THETA, -2.0 * i / headDim);
        int a = head * headDim + i;
        int b = a + half;
        result[a] = row[a] * Math.cos(angle) - row[b] * Math.sin(angle);
        result[b] = row[b] * Math.cos(angle) + row[a] * Math.sin(angle);
      }
    }
    return result;
  }
}
