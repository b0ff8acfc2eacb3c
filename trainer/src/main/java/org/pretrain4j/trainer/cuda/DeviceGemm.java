package org.pretrain4j.trainer.cuda;

import org.pretrain4j.trainer.libtorch.ScalarType;

/** Products of row-major matrices in a GPU's memory that end in float32 sums. */
public interface DeviceGemm {

  /**
   * A factor.
   *
   * @param address of its first element
   * @param stride elements from one row in memory to the next
   * @param transposed whether the factor is the transpose of what lies in memory
   */
  record Factor(long address, int stride, boolean transposed) {}

  /**
   * {@code c = a b}, or {@code c = c + a b}.
   *
   * @param type of both factors: bfloat16 or float32
   * @param rows of c and of a
   * @param columns of c and of b
   * @param inner columns of a and rows of b
   * @param add whether to add to what c holds
   * @param c float32, rows without gaps
   */
  void multiply(
      ScalarType type, int rows, int columns, int inner, Factor a, Factor b, boolean add, long c);
}
