package org.pretrain4j.checkpoints.safetensors;

import java.util.List;

/**
 * What a tensor is, without where it lies.
 *
 * @param name its name, unique in its file
 * @param dtype type of its elements
 * @param shape its sizes, outermost first; none for a scalar
 */
public record TensorSpec(String name, DType dtype, List<Long> shape) {
  public TensorSpec {
    shape = List.copyOf(shape);
    for (long size : shape) {
      if (size < 0) {
        throw new IllegalArgumentException(name + " has the impossible shape " + shape);
      }
    }
  }

  /**
   * Number of elements.
   *
   * @throws ArithmeticException if they are more than a long counts
   */
  public long elements() {
    long product = 1;
    for (long size : shape) {
      product = Math.multiplyExact(product, size);
    }
    return product;
  }

  /**
   * Size in bytes.
   *
   * @throws ArithmeticException if it is more than a long counts
   */
  public long bytes() {
    return Math.multiplyExact(elements(), (long) dtype.bytes());
  }
}
