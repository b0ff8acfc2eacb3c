package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/** Makes the context of micro-batches: rotary tables once, masks for each batch. */
final class ContextFactory {
  private final Tensor cos;
  private final Tensor sin;

  /**
   * @param manager owns the tables
   * @param sequenceLength longest row
   */
  ContextFactory(NDManager manager, ModelConfig config, ScalarType type, int sequenceLength) {
    float[] angles = RotaryTable.angles(config, sequenceLength);
    float[] cosines = new float[angles.length];
    float[] sines = new float[angles.length];
    for (int i = 0; i < angles.length; i++) {
      cosines[i] = (float) Math.cos(angles[i]);
      sines[i] = (float) Math.sin(angles[i]);
    }
    this.cos = table(manager, cosines, type, sequenceLength, config.headDim());
    this.sin = table(manager, sines, type, sequenceLength, config.headDim());
  }

  private static Tensor table(
      NDManager manager, float[] half, ScalarType type, int rows, int width) {
    float[] full = new float[rows * width];
    for (int row = 0; row < rows; row++) {
      System.arraycopy(half, row * width / 2, full, row * width, width / 2);
      System.arraycopy(half, row * width / 2, full, row * width + width / 2, width / 2);
    }
    return Operators.to(Tensor.of(manager, full, rows, width), type);
  }

  Context of(NDManager manager, MicroBatch batch) {
    long length = batch.sequenceLength();
    Tensor mask = batch.hasBoundaries() ? mask(manager, batch) : null;
    return new Context(
        cos.view(manager, 0, length, cos.size(1)), sin.view(manager, 0, length, sin.size(1)), mask);
  }

  /** Causal, and no look before the start of the query's own document. */
  private static Tensor mask(NDManager manager, MicroBatch batch) {
    int length = batch.sequenceLength();
    byte[] values = new byte[batch.rows() * length * length];
    for (int row = 0; row < batch.rows(); row++) {
      int[] starts = batch.documentStarts().get(row);
      int next = 0;
      int start = 0;
      for (int query = 0; query < length; query++) {
        if (next < starts.length && starts[next] == query) {
          start = starts[next++];
        }
        int line = (row * length + query) * length;
        Arrays.fill(values, line + start, line + query + 1, (byte) 1);
      }
    }
    return Tensor.ofBooleans(manager, values, batch.rows(), 1, length, length);
  }
}
