package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;

/**
 * A row-major matrix in off-heap memory, without gaps.
 *
 * @param memory its elements; reachable from any thread
 * @param rows number of rows
 * @param columns elements of a row
 * @param bfloat16 whether they are bfloat16; else they are float32
 */
public record Matrix(MemorySegment memory, int rows, int columns, boolean bfloat16) {
  public Matrix {
    long bytes = (long) rows * columns * (bfloat16 ? Short.BYTES : Float.BYTES);
    if (rows < 0 || columns < 1 || memory.byteSize() != bytes) {
      throw new IllegalArgumentException(
          "[%d, %d] of %s in %d bytes"
              .formatted(rows, columns, bfloat16 ? "bfloat16" : "float32", memory.byteSize()));
    }
  }

  /** A matrix of bfloat16. */
  public static Matrix bfloat16(MemorySegment memory, int rows, int columns) {
    return new Matrix(memory, rows, columns, true);
  }

  /** A matrix of float32. */
  public static Matrix float32(MemorySegment memory, int rows, int columns) {
    return new Matrix(memory, rows, columns, false);
  }

  /** Bytes of an element. */
  public int elementBytes() {
    return bfloat16 ? Short.BYTES : Float.BYTES;
  }

  /** The memory of one row. */
  MemorySegment row(long row) {
    long bytes = (long) columns * elementBytes();
    return memory.asSlice(row * bytes, bytes);
  }

  /** Refuses another shape, naming the argument. */
  void requireShape(String name, int expectedRows, int expectedColumns) {
    if (rows != expectedRows || columns != expectedColumns) {
      throw new IllegalArgumentException(
          "%s is [%d, %d] instead of [%d, %d]"
              .formatted(name, rows, columns, expectedRows, expectedColumns));
    }
  }

  /** Refuses another element type, naming the argument. */
  void requireTypeOf(String name, Matrix other) {
    if (bfloat16 != other.bfloat16) {
      throw new IllegalArgumentException(
          name + " must be " + (other.bfloat16 ? "bfloat16" : "float32"));
    }
  }

  /** Refuses another shape or element type, naming the argument. */
  void requireLike(String name, Matrix other) {
    requireShape(name, other.rows, other.columns);
    requireTypeOf(name, other);
  }
}
