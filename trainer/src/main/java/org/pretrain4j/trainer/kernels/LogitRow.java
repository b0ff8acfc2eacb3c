package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * The three passes over a row of logits, which between them is an array in the cache: read, with
 * the maximum; exponentials, with their sum; and written as gradient. Compiled like {@link
 * Staging}'s loops, each on its own.
 */
final class LogitRow {
  private LogitRow() {}

  /**
   * Reads a row into an array, and negative infinity behind it up to the padded length.
   *
   * @return the largest; NaNs are passed over, they reach the loss through the sum
   */
  static float read(Matrix logits, long row, float[] into) {
    int n = logits.columns();
    int whole = n / Lanes.COUNT * Lanes.COUNT;
    long start = row * n;
    float max =
        logits.bfloat16()
            ? readBfloat16(logits.memory(), start, whole, into)
            : readFloat32(logits.memory(), start, whole, into);
    if (whole == n) {
      return max;
    }
    Arrays.fill(into, whole, whole + Lanes.COUNT, Float.NEGATIVE_INFINITY);
    VectorMask<Float> rest = Lanes.FLOATS.indexInRange(whole, n);
    FloatVector values =
        logits.bfloat16()
            ? Lanes.loadBfloat16(logits.memory(), start + whole, rest)
            : Lanes.load(logits.memory(), start + whole, rest);
    values.intoArray(into, whole, rest);
    for (int i = whole; i < n; i++) {
      max = into[i] > max ? into[i] : max;
    }
    return max;
  }

  private static float readBfloat16(MemorySegment memory, long start, int n, float[] into) {
    FloatVector max = FloatVector.broadcast(Lanes.FLOATS, Float.NEGATIVE_INFINITY);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      FloatVector values = Lanes.loadBfloat16(memory, start + i);
      values.intoArray(into, i);
      max = max.blend(values, values.compare(VectorOperators.GT, max));
    }
    return max.reduceLanes(VectorOperators.MAX);
  }

  private static float readFloat32(MemorySegment memory, long start, int n, float[] into) {
    FloatVector max = FloatVector.broadcast(Lanes.FLOATS, Float.NEGATIVE_INFINITY);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      FloatVector values = Lanes.load(memory, start + i);
      values.intoArray(into, i);
      max = max.blend(values, values.compare(VectorOperators.GT, max));
    }
    return max.reduceLanes(VectorOperators.MAX);
  }

  /** {@code row = e^(row - max)} from one vector to another; returns the sum. */
  static float exponentials(float[] row, int from, int to, float max) {
    FloatVector sum = FloatVector.zero(Lanes.FLOATS);
    for (int i = from; i < to; i += Lanes.COUNT) {
      FloatVector e = Exponential.of(Lanes.load(row, i).sub(max));
      e.intoArray(row, i);
      sum = sum.add(e);
    }
    return Lanes.sum(sum);
  }

  /** Writes {@code factor * from} to a row, rounded to nearest even. */
  static void writeScaled(float[] from, float factor, Matrix target, long row) {
    int n = target.columns();
    int whole = n / Lanes.COUNT * Lanes.COUNT;
    long start = row * n;
    if (target.bfloat16()) {
      for (int i = 0; i < whole; i += Lanes.COUNT) {
        Lanes.storeBfloat16(Lanes.load(from, i).mul(factor), target.memory(), start + i);
      }
    } else {
      for (int i = 0; i < whole; i += Lanes.COUNT) {
        Lanes.store(Lanes.load(from, i).mul(factor), target.memory(), start + i);
      }
    }
    if (whole < n) {
      FloatVector values = Lanes.load(from, whole).mul(factor);
      VectorMask<Float> rest = Lanes.FLOATS.indexInRange(whole, n);
      if (target.bfloat16()) {
        Lanes.storeBfloat16(values, target.memory(), start + whole, rest);
      } else {
        Lanes.store(values, target.memory(), start + whole, rest);
      }
    }
  }
}
