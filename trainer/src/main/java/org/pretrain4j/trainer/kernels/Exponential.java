package org.pretrain4j.trainer.kernels;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * e to the power of x in float32: with n the integer nearest to x / ln 2 and r = x - n ln 2, {@code
 * 2^n (1 + r + r^2 q(r))}, where q is the polynomial of degree 4 that minimises the largest
 * relative error over |r| &le; ln 2 / 2 (3e-9; fitted by Lawson's iteration).
 *
 * <p>At most 1.01 ulp off between -87.3 and 88.3 (measured at every fifth float32); below 0, as
 * subnormal results are left out, and above infinite. NaN stays NaN. The library's own {@code EXP}
 * differs between interpreted and compiled code, which would break exact resumption.
 */
final class Exponential {
  private static final float LOWEST = -87.3f;
  private static final float HIGHEST = 88.3f;
  private static final float LOG2_E = 1.442695f;

  /** ln 2 in two parts; the first has 17 bits, so that its product with n is exact. */
  private static final float LN2_HIGH = 0x1.62e4p-1f;

  private static final float LN2_LOW = 1.42860677e-6f;

  /** Adding it rounds to an integer, which then is in the lowest bits. */
  private static final float ROUNDING = 0x1.8p23f;

  private static final float Q0 = 0.49999994f;
  private static final float Q1 = 0.16666521f;
  private static final float Q2 = 0.04166839f;
  private static final float Q3 = 0.008368745f;
  private static final float Q4 = 0.001381454f;
  private static final int EXPONENT_BIAS = 127;
  private static final int FRACTION_BITS = 23;

  private Exponential() {}

  static FloatVector of(FloatVector x) {
    FloatVector shifted = fma(x, LOG2_E, ROUNDING);
    FloatVector n = shifted.sub(ROUNDING);
    FloatVector r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
    FloatVector q = fma(r, Q4, Q3);
    q = q.lanewise(VectorOperators.FMA, r, broadcast(Q2));
    q = q.lanewise(VectorOperators.FMA, r, broadcast(Q1));
    q = q.lanewise(VectorOperators.FMA, r, broadcast(Q0));
    FloatVector power = r.mul(r).lanewise(VectorOperators.FMA, q, r).add(1f);
    IntVector exponent = shifted.reinterpretAsInts().add(EXPONENT_BIAS);
    FloatVector scale =
        exponent.lanewise(VectorOperators.LSHL, FRACTION_BITS).reinterpretAsFloats();
    VectorMask<Float> low = x.compare(VectorOperators.LT, LOWEST);
    VectorMask<Float> high = x.compare(VectorOperators.GT, HIGHEST);
    return power.mul(scale).blend(0f, low).blend(Float.POSITIVE_INFINITY, high);
  }

  /** 1 / (1 + e^-x). */
  static FloatVector sigmoid(FloatVector x) {
    return broadcast(1f).div(of(x.neg()).add(1f));
  }

  private static FloatVector fma(FloatVector x, float factor, float addend) {
    return x.lanewise(VectorOperators.FMA, broadcast(factor), broadcast(addend));
  }

  private static FloatVector fma(FloatVector x, float factor, FloatVector addend) {
    return x.lanewise(VectorOperators.FMA, broadcast(factor), addend);
  }

  private static FloatVector broadcast(float value) {
    return FloatVector.broadcast(Lanes.FLOATS, value);
  }
}
