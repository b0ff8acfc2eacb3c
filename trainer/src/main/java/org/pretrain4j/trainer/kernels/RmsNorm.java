package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * RMSNorm (Zhang and Sennrich, 2019) of each row: {@code y = w * cast(x * rstd)}, {@code rstd = 1 /
 * sqrt(mean(x^2) + epsilon)}. Statistics are in float32; the normed row is cast to the type of the
 * data before it is multiplied by the weight, as Hugging Face's models do.
 *
 * <p>Backward, with n = x rstd before the cast: {@code dx = rstd (dy w - n mean(dy w n))}, {@code
 * dw += sum over rows of dy cast(n)}.
 *
 * <p>An instance owns the partial sums of the weight's gradient; one call at a time.
 */
public final class RmsNorm {
  private static final int FORWARD_ROWS = 16;

  /** The rows of the backward pass are cut into at most so many chunks with a partial sum each. */
  private static final int PARTIAL_SUMS = 64;

  private static final int LEAST_BACKWARD_ROWS = 8;

  private final WorkerPool pool;
  private final int hiddenSize;
  private final int padded;
  private final double epsilon;
  private final float[][] partialSums;

  /**
   * A norm for rows of hiddenSize.
   *
   * @param epsilon added to the mean square
   */
  public RmsNorm(WorkerPool pool, int hiddenSize, double epsilon) {
    this.pool = pool;
    this.hiddenSize = hiddenSize;
    this.epsilon = epsilon;
    padded = Staging.padded(hiddenSize);
    partialSums = new float[PARTIAL_SUMS][padded];
  }

  /**
   * Norms x.
   *
   * @param x [rows, hiddenSize]
   * @param weight [1, hiddenSize]
   * @param y [rows, hiddenSize], written; may be x
   * @param rstd float32 [rows], written
   */
  public void forward(Matrix x, Matrix weight, Matrix y, MemorySegment rstd) {
    check(x, weight, rstd);
    y.requireLike("y", x);
    pool.run(
        x.rows(),
        FORWARD_ROWS,
        (from, to, scratch) -> {
          float[] w = scratch.floats(0, padded);
          float[] values = scratch.floats(1, padded);
          Staging.read(weight, 0, 0, hiddenSize, w);
          for (long row = from; row < to; row++) {
            Staging.read(x, row, 0, hiddenSize, values);
            double squares = squares(values);
            float inverse = (float) (1 / Math.sqrt(squares / hiddenSize + epsilon));
            rstd.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, row, inverse);
            norm(values, inverse, w, x.bfloat16());
            Staging.write(values, y, row, 0, hiddenSize);
          }
        });
  }

  /**
   * Gradient of {@link #forward}.
   *
   * @param dy [rows, hiddenSize], of any type
   * @param x what was normed
   * @param rstd what forward wrote
   * @param dx [rows, hiddenSize], written; may be dy
   * @param dWeight float32 [hiddenSize], added to
   */
  public void backward(
      Matrix dy, Matrix x, Matrix weight, MemorySegment rstd, Matrix dx, MemorySegment dWeight) {
    backward(dy, null, x, weight, rstd, dx, dWeight);
  }

  /**
   * The same where the normed stream x also goes on past the norm.
   *
   * @param dSum [rows, hiddenSize]: the gradient that reaches x past the norm
   * @param dx [rows, hiddenSize], written: that through the norm plus dSum; may be dy or dSum
   */
  public void addBackward(
      Matrix dy,
      Matrix dSum,
      Matrix sum,
      Matrix weight,
      MemorySegment rstd,
      Matrix dx,
      MemorySegment dWeight) {
    dSum.requireLike("dSum", sum);
    backward(dy, dSum, sum, weight, rstd, dx, dWeight);
  }

  private void backward(
      Matrix dy,
      Matrix dSum,
      Matrix x,
      Matrix weight,
      MemorySegment rstd,
      Matrix dx,
      MemorySegment dWeight) {
    check(x, weight, rstd);
    dy.requireShape("dy", x.rows(), hiddenSize);
    dx.requireLike("dx", x);
    if (dWeight.byteSize() != (long) hiddenSize * Float.BYTES) {
      throw new IllegalArgumentException("dWeight has " + dWeight.byteSize() + " bytes");
    }
    int chunkRows = Math.max(LEAST_BACKWARD_ROWS, Math.ceilDiv(x.rows(), PARTIAL_SUMS));
    pool.run(
        x.rows(),
        chunkRows,
        (from, to, scratch) -> {
          float[] w = scratch.floats(0, padded);
          float[] gradient = scratch.floats(1, padded);
          float[] normed = scratch.floats(2, padded);
          float[] past = scratch.floats(3, padded);
          float[] partial = partialSums[(int) (from / chunkRows)];
          Arrays.fill(partial, 0);
          Staging.read(weight, 0, 0, hiddenSize, w);
          for (long row = from; row < to; row++) {
            float inverse = rstd.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, row);
            Staging.read(dy, row, 0, hiddenSize, gradient);
            Staging.read(x, row, 0, hiddenSize, normed);
            float mean =
                throughWeight(gradient, normed, inverse, w, partial, x.bfloat16()) / hiddenSize;
            throughNorm(gradient, normed, mean, inverse);
            if (dSum != null) {
              Staging.read(dSum, row, 0, hiddenSize, past);
              add(gradient, past);
            }
            Staging.write(gradient, dx, row, 0, hiddenSize);
          }
        });
    for (int i = 0; i < Math.ceilDiv(x.rows(), chunkRows); i++) {
      addTo(dWeight, partialSums[i]);
    }
  }

  private void add(float[] sum, float[] addend) {
    for (int i = 0; i < padded; i += Lanes.COUNT) {
      Lanes.load(sum, i).add(Lanes.load(addend, i)).intoArray(sum, i);
    }
  }

  private float squares(float[] values) {
    FloatVector sum = FloatVector.zero(Lanes.FLOATS);
    for (int i = 0; i < padded; i += Lanes.COUNT) {
      FloatVector v = Lanes.load(values, i);
      sum = v.lanewise(VectorOperators.FMA, v, sum);
    }
    return Lanes.sum(sum);
  }

  /** {@code values = w * cast(values * inverse)}. */
  private void norm(float[] values, float inverse, float[] w, boolean bfloat16) {
    for (int i = 0; i < padded; i += Lanes.COUNT) {
      FloatVector n = Lanes.load(values, i).mul(inverse);
      (bfloat16 ? Lanes.roundedToBfloat16(n) : n).mul(Lanes.load(w, i)).intoArray(values, i);
    }
  }

  /**
   * From dy and x to dy w and n = x inverse, in place; adds dy cast(n) to the partial sum and
   * returns the sum of dy w n.
   */
  private float throughWeight(
      float[] gradient, float[] x, float inverse, float[] w, float[] partial, boolean bfloat16) {
    FloatVector sum = FloatVector.zero(Lanes.FLOATS);
    for (int i = 0; i < padded; i += Lanes.COUNT) {
      FloatVector n = Lanes.load(x, i).mul(inverse);
      FloatVector cast = bfloat16 ? Lanes.roundedToBfloat16(n) : n;
      FloatVector d = Lanes.load(gradient, i);
      d.lanewise(VectorOperators.FMA, cast, Lanes.load(partial, i)).intoArray(partial, i);
      FloatVector dw = d.mul(Lanes.load(w, i));
      sum = dw.lanewise(VectorOperators.FMA, n, sum);
      n.intoArray(x, i);
      dw.intoArray(gradient, i);
    }
    return Lanes.sum(sum);
  }

  /** {@code gradient = inverse * (gradient - normed * mean)}. */
  private void throughNorm(float[] gradient, float[] normed, float mean, float inverse) {
    for (int i = 0; i < padded; i += Lanes.COUNT) {
      Lanes.load(gradient, i)
          .sub(Lanes.load(normed, i).mul(mean))
          .mul(inverse)
          .intoArray(gradient, i);
    }
  }

  private void addTo(MemorySegment dWeight, float[] partial) {
    for (int i = 0; i < hiddenSize; i += Lanes.COUNT) {
      VectorMask<Float> mask = Lanes.FLOATS.indexInRange(i, hiddenSize);
      Lanes.store(Lanes.load(dWeight, i, mask).add(Lanes.load(partial, i)), dWeight, i, mask);
    }
  }

  private void check(Matrix x, Matrix weight, MemorySegment rstd) {
    x.requireShape("x", x.rows(), hiddenSize);
    weight.requireShape("weight", 1, hiddenSize);
    weight.requireTypeOf("weight", x);
    if (rstd.byteSize() != (long) x.rows() * Float.BYTES) {
      throw new IllegalArgumentException("rstd has " + rstd.byteSize() + " bytes");
    }
  }
}
