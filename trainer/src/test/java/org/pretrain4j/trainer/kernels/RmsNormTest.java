package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RmsNormTest {
  private static final double EPSILON = 1e-3;
  private static final WorkerPool POOL = new WorkerPool(2);

  @AfterAll
  static void close() {
    POOL.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, 4, true", "3, 5, true", "20, 16, true", "33, 67, true", "150, 96, true",
    "1, 4, false", "3, 5, false", "20, 16, false", "33, 67, false", "150, 96, false"
  })
  void agreesWithTheFormulaForwardAndBackward(int rows, int hidden, boolean bfloat16) {
    long seed = rows * 1000L + hidden;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    Matrix x = OffHeap.gaussian(random, rows, hidden, bfloat16, 2);
    Matrix weight = OffHeap.gaussian(random, 1, hidden, bfloat16, 1);
    Matrix y = OffHeap.zeros(rows, hidden, bfloat16);
    MemorySegment rstd = OffHeap.floats((long) rows);
    RmsNorm norm = new RmsNorm(POOL, hidden, EPSILON);
    norm.forward(x, weight, y, rstd);
    checkForward(x, weight, y, rstd);

    Matrix dy = OffHeap.gaussian(random, rows, hidden, bfloat16, 1);
    Matrix dx = OffHeap.zeros(rows, hidden, bfloat16);
    float[] dWeightBefore = OffHeap.gaussian(random, hidden, 1);
    MemorySegment dWeight = OffHeap.floats(dWeightBefore);
    norm.backward(dy, x, weight, rstd, dx, dWeight);
    checkBackward(dy, null, x, weight, dx);
    checkWeightGradient(dy, x, rstd, dWeightBefore, dWeight);
  }

  @ParameterizedTest
  @CsvSource({"3, 5, true", "33, 67, true", "3, 5, false", "33, 64, false"})
  void addsTheGradientThatPassesTheNormBy(int rows, int hidden, boolean bfloat16) {
    long seed = rows * 1000L + hidden;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    Matrix x = OffHeap.gaussian(random, rows, hidden, bfloat16, 2);
    Matrix weight = OffHeap.gaussian(random, 1, hidden, bfloat16, 1);
    Matrix y = OffHeap.zeros(rows, hidden, bfloat16);
    MemorySegment rstd = OffHeap.floats((long) rows);
    RmsNorm norm = new RmsNorm(POOL, hidden, EPSILON);
    norm.forward(x, weight, y, rstd);

    Matrix dy = OffHeap.gaussian(random, rows, hidden, bfloat16, 1);
    Matrix dSum = OffHeap.gaussian(random, rows, hidden, bfloat16, 1);
    Matrix dx = OffHeap.zeros(rows, hidden, bfloat16);
    MemorySegment dWeight = OffHeap.floats((long) hidden);
    norm.addBackward(dy, dSum, x, weight, rstd, dx, dWeight);
    checkBackward(dy, dSum, x, weight, dx);
    checkWeightGradient(dy, x, rstd, new float[hidden], dWeight);

    norm.addBackward(dy, dSum, x, weight, rstd, dSum, dWeight);
    assertEquals(-1, dx.memory().mismatch(dSum.memory()), "in place");
  }

  @Test
  void bitsDoNotDependOnThreads() {
    Random random = new Random(8);
    Matrix x = OffHeap.gaussian(random, 700, 67, true, 2);
    Matrix dy = OffHeap.gaussian(random, 700, 67, true, 2);
    Matrix weight = OffHeap.gaussian(random, 1, 67, true, 1);
    Matrix[] results = new Matrix[4];
    MemorySegment[] dWeights = new MemorySegment[4];
    for (int i = 0; i < 4; i++) {
      MemorySegment rstd = OffHeap.floats(700L);
      results[i] = OffHeap.zeros(700, 67, true);
      dWeights[i] = OffHeap.floats(67L);
      try (WorkerPool pool = new WorkerPool(i + 1)) {
        RmsNorm norm = new RmsNorm(pool, 67, EPSILON);
        norm.forward(x, weight, results[i], rstd);
        norm.backward(dy, x, weight, rstd, results[i], dWeights[i]);
      }
      assertEquals(-1, results[0].memory().mismatch(results[i].memory()));
      assertEquals(-1, dWeights[0].mismatch(dWeights[i]));
    }
  }

  @Test
  void refusesOtherShapesAndTypes() {
    RmsNorm norm = new RmsNorm(POOL, 4, EPSILON);
    Matrix x = OffHeap.zeros(2, 4, true);
    Matrix weight = OffHeap.zeros(1, 4, true);
    MemorySegment rstd = OffHeap.floats(2L);
    Matrix narrow = OffHeap.zeros(2, 3, true);
    Matrix float32 = OffHeap.zeros(2, 4, false);
    assertThrows(IllegalArgumentException.class, () -> norm.forward(narrow, weight, x, rstd));
    assertThrows(IllegalArgumentException.class, () -> norm.forward(x, weight, float32, rstd));
    assertThrows(IllegalArgumentException.class, () -> norm.forward(x, x, x, rstd));
  }

  /** Exactly what Hugging Face's order of roundings gives, and the inverse by float64. */
  private static void checkForward(Matrix x, Matrix weight, Matrix y, MemorySegment rstd) {
    float[] w = OffHeap.values(weight);
    float[] inverses = OffHeap.toFloats(rstd);
    float[] values = OffHeap.values(x);
    float[] expected = new float[values.length];
    for (int row = 0; row < x.rows(); row++) {
      double exact = inverse(OffHeap.row(x, row));
      assertEquals(exact, inverses[row], 1e-6 * exact, "rstd of row " + row);
      for (int i = 0; i < x.columns(); i++) {
        int index = row * x.columns() + i;
        float normed = values[index] * inverses[row];
        expected[index] =
            x.bfloat16() ? OffHeap.rounded(OffHeap.rounded(normed) * w[i]) : normed * w[i];
      }
    }
    assertArrayEquals(expected, OffHeap.values(y));
  }

  private static void checkBackward(Matrix dy, Matrix dSum, Matrix x, Matrix weight, Matrix dx) {
    double[] w = OffHeap.row(weight, 0);
    UnaryOperator<double[]> norm =
        row -> {
          double[] y = new double[row.length];
          double inverse = inverse(row);
          for (int i = 0; i < row.length; i++) {
            y[i] = w[i] * row[i] * inverse;
          }
          return y;
        };
    for (int row = 0; row < x.rows(); row++) {
      double[] expected = Gradients.central(norm, OffHeap.row(x, row), OffHeap.row(dy, row));
      if (dSum != null) {
        double[] past = OffHeap.row(dSum, row);
        for (int i = 0; i < past.length; i++) {
          expected[i] += past[i];
        }
      }
      Gradients.assertClose(
          expected, OffHeap.row(dx, row), Gradients.tolerance(x.bfloat16()), "dx " + row);
    }
  }

  private static void checkWeightGradient(
      Matrix dy, Matrix x, MemorySegment rstd, float[] before, MemorySegment dWeight) {
    double[] expected = new double[x.columns()];
    double[] actual = new double[x.columns()];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = before[i];
      actual[i] = OffHeap.toFloats(dWeight)[i];
    }
    for (int row = 0; row < x.rows(); row++) {
      float inverse = OffHeap.toFloats(rstd)[row];
      double[] values = OffHeap.row(x, row);
      double[] d = OffHeap.row(dy, row);
      for (int i = 0; i < expected.length; i++) {
        float normed = (float) values[i] * inverse;
        expected[i] += d[i] * (x.bfloat16() ? OffHeap.rounded(normed) : normed);
      }
    }
    Gradients.assertClose(expected, actual, 1e-5, "dWeight");
  }

  private static double inverse(double[] row) {
    double squares = 0;
    for (double value : row) {
      squares += value * value;
    }
    return 1 / Math.sqrt(squares / row.length + EPSILON);
  }
}
