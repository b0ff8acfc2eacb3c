package org.pretrain4j.trainer.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/** Off-heap arrays for tests. Automatic arenas: freed with their last use. */
public final class OffHeap {
  private OffHeap() {}

  /** Float32 values; their address is only as aligned as a float must be. */
  public static MemorySegment floats(float... values) {
    MemorySegment memory = Arena.ofAuto().allocate(4L * values.length + 4, 64).asSlice(4);
    MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_FLOAT, 0, values.length);
    return memory;
  }

  /** So many float32 zeros. */
  public static MemorySegment floats(long elements) {
    return Arena.ofAuto().allocate(4 * elements, 4);
  }

  /** The values in float32. */
  public static float[] toFloats(MemorySegment memory) {
    return memory.toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
  }

  /** The values rounded to bfloat16. */
  public static MemorySegment bfloat16(float... values) {
    MemorySegment memory = bfloat16((long) values.length);
    for (int i = 0; i < values.length; i++) {
      memory.setAtIndex(ValueLayout.JAVA_SHORT, i, toBfloat16(values[i]));
    }
    return memory;
  }

  /** So many bfloat16 zeros; their address is only as aligned as a short must be. */
  public static MemorySegment bfloat16(long elements) {
    return Arena.ofAuto().allocate(2 * elements + 2, 64).asSlice(2);
  }

  /** The values of bfloat16 memory. */
  public static float[] fromBfloat16(MemorySegment memory) {
    float[] values = new float[(int) (memory.byteSize() / 2)];
    for (int i = 0; i < values.length; i++) {
      values[i] = fromBfloat16(memory.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i));
    }
    return values;
  }

  /** Value of one bfloat16. */
  public static float fromBfloat16(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** The nearest bfloat16, found by comparing distances; of two equally near the even one. */
  public static short toBfloat16(float value) {
    if (Float.isNaN(value)) {
      return (short) 0x7fc0;
    }
    int bits = Float.floatToRawIntBits(value);
    int below = bits & 0xffff0000; // towards zero
    int above = below + 0x10000;
    long distanceBelow = (long) bits - below;
    long distanceAbove = (long) above - bits;
    boolean up =
        distanceAbove < distanceBelow || distanceAbove == distanceBelow && (below >>> 16) % 2 != 0;
    return (short) ((up ? above : below) >>> 16);
  }

  /** The value rounded to bfloat16. */
  public static float rounded(float value) {
    return fromBfloat16(toBfloat16(value));
  }

  /** Normal values. */
  public static float[] gaussian(Random random, int count, double std) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (std * random.nextGaussian());
    }
    return values;
  }

  /** A matrix of the values, rounded to bfloat16 if asked. */
  static Matrix matrix(float[] values, int rows, int columns, boolean bfloat16) {
    return new Matrix(bfloat16 ? bfloat16(values) : floats(values), rows, columns, bfloat16);
  }

  /** A matrix of normal values. */
  static Matrix gaussian(Random random, int rows, int columns, boolean bfloat16, double std) {
    return matrix(gaussian(random, rows * columns, std), rows, columns, bfloat16);
  }

  /** A matrix of zeros. */
  static Matrix zeros(int rows, int columns, boolean bfloat16) {
    return matrix(new float[rows * columns], rows, columns, bfloat16);
  }

  /** The values of a matrix, row by row. */
  static float[] values(Matrix matrix) {
    return matrix.bfloat16() ? fromBfloat16(matrix.memory()) : toFloats(matrix.memory());
  }

  /** The values of one row in float64. */
  static double[] row(Matrix matrix, int row) {
    float[] values = values(matrix);
    double[] result = new double[matrix.columns()];
    for (int i = 0; i < result.length; i++) {
      result[i] = values[row * matrix.columns() + i];
    }
    return result;
  }
}
