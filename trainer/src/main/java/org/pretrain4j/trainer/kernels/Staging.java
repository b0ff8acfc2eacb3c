package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Between a matrix in memory, of either type, and float32 arrays that stay in the cache. Kernels
 * compute in the arrays, whose length is a multiple of the lanes, so they need neither a variant
 * for each type nor a case for the rest of a row.
 *
 * <p>It also keeps the loops small. Vectors over memory segments are large for the compiler, which
 * past some size of a method gives up on keeping vectors in registers; and a method that it has
 * compiled before, and found large, it calls instead of inlining, and then vectors go through the
 * heap. Therefore loops should be compiled on their own, with all that they call: the JVM is
 * started with {@code -XX:CompileCommand=dontinline,org.pretrain4j.trainer.kernels.Staging::*}, the
 * same for other classes of loops (the launcher has the list), and {@code inline} for {@link Lanes}
 * and {@link Exponential}. Without it results are the same, and some loops take three times as long
 * or more.
 */
final class Staging {
  private Staging() {}

  /** So many elements rounded up to whole vectors. */
  static int padded(int elements) {
    return Math.ceilDiv(elements, Lanes.COUNT) * Lanes.COUNT;
  }

  /** Reads a part of a row into the beginning of an array, and zeros up to the padded length. */
  static void read(Matrix matrix, long row, int column, int elements, float[] into) {
    MemorySegment memory = matrix.memory();
    long start = row * matrix.columns() + column;
    int whole = elements / Lanes.COUNT * Lanes.COUNT;
    if (matrix.bfloat16()) {
      for (int i = 0; i < whole; i += Lanes.COUNT) {
        Lanes.loadBfloat16(memory, start + i).intoArray(into, i);
      }
    } else {
      for (int i = 0; i < whole; i += Lanes.COUNT) {
        Lanes.load(memory, start + i).intoArray(into, i);
      }
    }
    if (whole < elements) {
      VectorMask<Float> rest = Lanes.FLOATS.indexInRange(whole, elements);
      FloatVector values =
          matrix.bfloat16()
              ? Lanes.loadBfloat16(memory, start + whole, rest)
              : Lanes.load(memory, start + whole, rest);
      values.intoArray(into, whole);
    }
  }

  /** Writes the beginning of an array to a part of a row, rounded to nearest even. */
  static void write(float[] from, Matrix matrix, long row, int column, int elements) {
    MemorySegment memory = matrix.memory();
    long start = row * matrix.columns() + column;
    int whole = elements / Lanes.COUNT * Lanes.COUNT;
    if (matrix.bfloat16()) {
      for (int i = 0; i < whole; i += Lanes.COUNT) {
        Lanes.storeBfloat16(Lanes.load(from, i), memory, start + i);
      }
    } else {
      for (int i = 0; i < whole; i += Lanes.COUNT) {
        Lanes.store(Lanes.load(from, i), memory, start + i);
      }
    }
    if (whole < elements) {
      VectorMask<Float> rest = Lanes.FLOATS.indexInRange(whole, elements);
      if (matrix.bfloat16()) {
        Lanes.storeBfloat16(Lanes.load(from, whole), memory, start + whole, rest);
      } else {
        Lanes.store(Lanes.load(from, whole), memory, start + whole, rest);
      }
    }
  }
}
