package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * A matrix, as the tensor that libtorch multiplies and, in the host's memory, as what our own
 * kernels read.
 *
 * @param tensor {@code [rows, columns]}
 * @param transposed the same memory as {@code [columns, rows]}
 * @param matrix the same memory, if it is the host's
 */
record Activation(Tensor tensor, Tensor transposed, Matrix matrix) {

  /** Wraps a contiguous two-dimensional tensor; views belong to its manager. */
  static Activation of(Tensor tensor) {
    int rows = Math.toIntExact(tensor.size(0));
    int columns = Math.toIntExact(tensor.size(1));
    boolean bfloat16 = tensor.type() == ScalarType.BFLOAT16;
    return new Activation(
        tensor,
        Operators.transpose(tensor, 0, 1),
        tensor.getDevice().isGpu() ? null : new Matrix(tensor.segment(), rows, columns, bfloat16));
  }

  @Override
  public Matrix matrix() {
    if (matrix == null) {
      throw new IllegalStateException("the memory of " + tensor.describe() + " is not the host's");
    }
    return matrix;
  }

  /** Number of rows. */
  int rows() {
    return Math.toIntExact(tensor.size(0));
  }

  /** Elements of a row. */
  int columns() {
    return Math.toIntExact(tensor.size(1));
  }

  /** New memory, not initialised. */
  static Activation allocate(NDManager manager, ScalarType type, long rows, long columns) {
    return of(Tensor.empty(manager, type, rows, columns));
  }

  /** Some of the rows. */
  Activation rows(NDManager manager, long from, long to) {
    long columns = tensor.size(1);
    return of(tensor.view(manager, from * columns, to - from, columns));
  }
}
