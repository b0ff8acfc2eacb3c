package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SwiGluTest {
  private static final WorkerPool POOL = new WorkerPool(2);

  @AfterAll
  static void close() {
    POOL.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, true", "5, 33, true", "9, 64, true", "3, 4105, true",
    "1, 1, false", "5, 33, false", "9, 64, false", "3, 4105, false"
  })
  void agreesWithTheFormulaForwardAndBackward(int rows, int width, boolean bfloat16) {
    long seed = rows * 10_000L + width;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    Matrix gateUp = OffHeap.gaussian(random, rows, 2 * width, bfloat16, 3);
    Matrix output = OffHeap.zeros(rows, width, bfloat16);
    SwiGlu.forward(POOL, gateUp, output);
    Matrix dOutput = OffHeap.gaussian(random, rows, width, bfloat16, 1);
    Matrix dGateUp = OffHeap.zeros(rows, 2 * width, bfloat16);
    SwiGlu.backward(POOL, dOutput, gateUp, dGateUp);
    double tolerance = Gradients.tolerance(bfloat16);
    for (int row = 0; row < rows; row++) {
      double[] in = OffHeap.row(gateUp, row);
      double[] d = OffHeap.row(dOutput, row);
      double[] expected = new double[width];
      double[] gradient = new double[2 * width];
      for (int i = 0; i < width; i++) {
        double up = in[width + i];
        expected[i] = silu(in[i]) * up;
        gradient[i] = d[i] * up * (silu(in[i] + 1e-5) - silu(in[i] - 1e-5)) / 2e-5;
        gradient[width + i] = d[i] * silu(in[i]);
      }
      Gradients.assertClose(expected, OffHeap.row(output, row), tolerance, "y");
      Gradients.assertClose(gradient, OffHeap.row(dGateUp, row), tolerance, "d");
    }
    SwiGlu.backward(POOL, dOutput, gateUp, gateUp);
    assertEquals(-1, dGateUp.memory().mismatch(gateUp.memory()), "in place");
  }

  @Test
  void saturatesWithoutNaN() {
    float[] extremes = {-1e30f, -200, 200, 1e30f, 1, 1, 1, 1};
    Matrix gateUp = OffHeap.matrix(extremes, 1, 8, false);
    Matrix output = OffHeap.zeros(1, 4, false);
    SwiGlu.forward(POOL, gateUp, output);
    assertArrayEquals(new float[] {-0f, -0f, 200, 1e30f}, OffHeap.values(output));
    Matrix ones = OffHeap.matrix(new float[] {1, 1, 1, 1}, 1, 4, false);
    SwiGlu.backward(POOL, ones, gateUp, gateUp);
    float[] slopes = OffHeap.values(gateUp);
    assertEquals(0, slopes[0]);
    assertEquals(0, slopes[1]);
    assertEquals(1, slopes[2]);
    assertEquals(1, slopes[3]);
  }

  @Test
  void refusesOtherShapes() {
    Matrix gateUp = OffHeap.zeros(2, 8, true);
    Matrix output = OffHeap.zeros(2, 3, true);
    assertThrows(IllegalArgumentException.class, () -> SwiGlu.forward(POOL, gateUp, output));
  }

  private static double silu(double x) {
    return x / (1 + Math.exp(-x));
  }
}
