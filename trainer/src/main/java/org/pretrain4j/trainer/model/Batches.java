package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.libtorch.Tensor;

/** Micro-batches as tensors. */
final class Batches {

  private Batches() {}

  /** {@code [batch, sequence]}, int64. */
  static Tensor inputs(NDManager manager, MicroBatch batch) {
    int length = batch.sequenceLength();
    long[] values = new long[batch.rows() * length];
    for (int row = 0; row < batch.rows(); row++) {
      for (int i = 0; i < length; i++) {
        values[row * length + i] = batch.inputs()[row][i];
      }
    }
    return Tensor.of(manager, values, batch.rows(), length);
  }

  static int[] flatTargets(MicroBatch batch) {
    int length = batch.sequenceLength();
    int[] values = new int[batch.rows() * length];
    for (int row = 0; row < batch.rows(); row++) {
      System.arraycopy(batch.targets()[row], 0, values, row * length, length);
    }
    return values;
  }

  /** {@code [end - start]}, int64. */
  static Tensor targets(NDManager manager, int[] flat, int start, int end) {
    long[] values = new long[end - start];
    for (int i = start; i < end; i++) {
      values[i - start] = flat[i];
    }
    return Tensor.of(manager, values, values.length);
  }
}
