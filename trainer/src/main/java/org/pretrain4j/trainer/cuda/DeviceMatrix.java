package org.pretrain4j.trainer.cuda;

import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * A row-major matrix in a GPU's memory, without gaps.
 *
 * @param address of its first element
 * @param rows number of rows
 * @param columns elements of a row
 * @param type float32 or bfloat16
 */
public record DeviceMatrix(long address, long rows, int columns, ScalarType type) {
  public DeviceMatrix {
    if (rows < 0
        || columns < 1
        || type != ScalarType.FLOAT32 && type != ScalarType.BFLOAT16
        || address % type.bytes() != 0) {
      throw new IllegalArgumentException(
          "[%d, %d] of %s at %x".formatted(rows, columns, type, address));
    }
  }

  /** The memory of a contiguous tensor of two dimensions. */
  public static DeviceMatrix of(Tensor tensor) {
    return new DeviceMatrix(
        tensor.address(), tensor.size(0), Math.toIntExact(tensor.size(1)), tensor.type());
  }

  /** The memory of a contiguous tensor as a single row. */
  public static DeviceMatrix row(Tensor tensor) {
    return new DeviceMatrix(tensor.address(), 1, Math.toIntExact(tensor.elements()), tensor.type());
  }

  /** Number of elements. */
  public long elements() {
    return rows * columns;
  }

  /** Refuses another shape, naming the argument. */
  void requireShape(String name, long expectedRows, int expectedColumns) {
    if (rows != expectedRows || columns != expectedColumns) {
      throw new IllegalArgumentException(
          "%s is [%d, %d] instead of [%d, %d]"
              .formatted(name, rows, columns, expectedRows, expectedColumns));
    }
  }

  /** Refuses another element type, naming the argument. */
  void requireType(String name, ScalarType expected) {
    if (type != expected) {
      throw new IllegalArgumentException(name + " is " + type + " instead of " + expected);
    }
  }

  /** Refuses another shape or element type, naming the argument. */
  void requireLike(String name, DeviceMatrix other) {
    requireShape(name, other.rows, other.columns);
    requireType(name, other.type);
  }
}
