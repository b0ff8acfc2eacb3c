package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.libtorch.Tensor;

/** Micro-batches as tensors. */
final class Batches {

  private Batches() {}

  /** {@code [batch, sequence]}, int64. */
  static Tensor inputs(NDManager manager, MicroBatch batch) {
    int[] flat = batch.flatInputs();
    long[] values = new long[flat.length];
    for (int i = 0; i < flat.length; i++) {
      values[i] = flat[i];
    }
    return Tensor.of(manager, values, batch.rows(), batch.sequenceLength());
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
