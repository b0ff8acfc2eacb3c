package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.function.UnaryOperator;

/** Expected gradients by central differences of a float64 formula, and comparisons. */
public final class Gradients {
  private static final double STEP = 1e-5;

  private Gradients() {}

  /** Gradient at x of the sum of f(x) weighted by dy. */
  public static double[] central(UnaryOperator<double[]> f, double[] x, double[] dy) {
    double[] gradient = new double[x.length];
    double[] moved = x.clone();
    for (int i = 0; i < x.length; i++) {
      moved[i] = x[i] + STEP;
      double[] above = f.apply(moved);
      moved[i] = x[i] - STEP;
      double[] below = f.apply(moved);
      moved[i] = x[i];
      for (int j = 0; j < dy.length; j++) {
        gradient[i] += dy[j] * (above[j] - below[j]) / (2 * STEP);
      }
    }
    return gradient;
  }

  /** Compares to a share of each value plus the same share of a tenth of the largest. */
  public static void assertClose(double[] expected, double[] actual, double relative, String what) {
    double largest = 0;
    for (double value : expected) {
      largest = Math.max(largest, Math.abs(value));
    }
    for (int i = 0; i < expected.length; i++) {
      double tolerance = relative * (Math.abs(expected[i]) + 0.1 * largest) + 1e-9;
      assertEquals(expected[i], actual[i], tolerance, what + " " + i);
    }
  }

  /** Relative error of arithmetic in float32 and, if bfloat16, of two roundings, 2^-8 each. */
  public static double tolerance(boolean bfloat16) {
    return bfloat16 ? Math.pow(2, -7) : 1e-5;
  }
}
