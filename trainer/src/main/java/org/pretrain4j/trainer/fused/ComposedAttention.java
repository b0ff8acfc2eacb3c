package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import org.pretrain4j.trainer.libtorch.GradientMode;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;

/**
 * {@code softmax(q kᵀ scale + mask) v} by matrix products and a softmax in float32, some queries of
 * a document at a time with the keys up to them; the backward pass computes it again and
 * differentiates it automatically.
 */
final class ComposedAttention implements DocumentAttention {
  private final long heads;
  private final long keyValueHeads;
  private final long groups;
  private final long headDim;
  private final long width;
  private final Tensor scale;
  private final int chunkElements;

  /**
   * @param manager of the device; owns what is kept
   * @param chunkElements scores in work at a time, unless those of one query are more
   */
  ComposedAttention(NDManager manager, ModelConfig config, int chunkElements) {
    this.chunkElements = chunkElements;
    heads = config.numAttentionHeads();
    keyValueHeads = config.numKeyValueHeads();
    groups = heads / keyValueHeads;
    headDim = config.headDim();
    width = (heads + 2 * keyValueHeads) * headDim;
    scale = Tensor.of(manager, new float[] {(float) Math.pow(headDim, -0.5)}, 1);
  }

  /** Queries {@code [from, to)} of a document that begins at {@code start}, all of the batch. */
  @FunctionalInterface
  private interface BlockWork {
    void run(NDManager scope, long from, long to);
  }

  private void byBlocks(NDManager manager, long start, long end, BlockWork work) {
    long block = Math.max(1, chunkElements / (heads * (end - start)));
    for (long from = start; from < end; from += block) {
      try (NDManager scope = manager.newSubManager()) {
        work.run(scope, from, Math.min(end, from + block));
      }
    }
  }

  @Override
  public void forward(NDManager manager, MicroBatch batch, LayerState state) {
    Tensor qkv = state.qkv.tensor();
    HostAttention.forEachDocument(
        batch,
        (index, start, end) ->
            byBlocks(
                manager,
                start,
                end,
                (scope, from, to) ->
                    output(scope, state.attended, from, to)
                        .copyFrom(
                            attend(
                                precise(queries(scope, qkv, from, to)),
                                precise(keys(scope, qkv, start, to)),
                                precise(values(scope, qkv, start, to)),
                                mask(scope, from - start, to - start)))));
  }

  @Override
  public void backward(
      NDManager manager,
      MicroBatch batch,
      LayerState state,
      Activation gradient,
      Activation qkvGradient) {
    HostAttention.forEachDocument(
        batch,
        (index, start, end) -> {
          try (NDManager scope = manager.newSubManager()) {
            document(scope, state.qkv.tensor(), start, end, gradient, qkvGradient.tensor());
          }
        });
  }

  private void document(
      NDManager scope, Tensor qkv, long start, long end, Activation gradient, Tensor qkvGradient) {
    long[] shape = {keyValueHeads, 1, end - start, headDim};
    Tensor keySum = Tensor.zeros(scope, ScalarType.FLOAT32, shape);
    Tensor valueSum = Tensor.zeros(scope, ScalarType.FLOAT32, shape);
    byBlocks(
        scope,
        start,
        end,
        (inner, from, to) -> {
          Tensor query = precise(queries(inner, qkv, from, to)).requireGradient();
          Tensor key = precise(keys(inner, qkv, start, to)).requireGradient();
          Tensor value = precise(values(inner, qkv, start, to)).requireGradient();
          Tensor mask = mask(inner, from - start, to - start);
          Tensor result = GradientMode.record(() -> attend(query, key, value, mask));
          result.backward(precise(output(inner, gradient, from, to)));
          queries(inner, qkvGradient, from, to).copyFrom(query.gradient());
          Operators.addTo(Operators.slice(keySum.alias(inner), 2, 0, to - start), key.gradient());
          Operators.addTo(
              Operators.slice(valueSum.alias(inner), 2, 0, to - start), value.gradient());
        });
    keys(scope, qkvGradient, start, end).copyFrom(keySum);
    values(scope, qkvGradient, start, end).copyFrom(valueSum);
  }

  private Tensor attend(Tensor query, Tensor key, Tensor value, Tensor mask) {
    Tensor scores = Operators.matmul(Operators.mul(query, scale), Operators.transpose(key, 2, 3));
    return Operators.matmul(Operators.softmax(Operators.add(scores, mask), 3), value);
  }

  /** {@code [to - from, to]}: 0 where a query may look, else minus infinity. */
  private static Tensor mask(NDManager scope, long from, long to) {
    int rows = Math.toIntExact(to - from);
    int columns = Math.toIntExact(to);
    float[] mask = new float[Math.multiplyExact(rows, columns)];
    for (int row = 0; row < rows; row++) {
      int behind = Math.toIntExact(from) + row + 1;
      Arrays.fill(mask, row * columns + behind, (row + 1) * columns, Float.NEGATIVE_INFINITY);
    }
    return Tensor.of(scope, mask, rows, columns);
  }

  private static Tensor precise(Tensor x) {
    return Operators.to(x, ScalarType.FLOAT32);
  }

  /** {@code [keyValueHeads, groups, length, headDim]}. */
  private Tensor queries(NDManager scope, Tensor qkv, long start, long end) {
    return part(scope, qkv, start * width, groups, end - start, width);
  }

  /** {@code [keyValueHeads, 1, length, headDim]}. */
  private Tensor keys(NDManager scope, Tensor qkv, long start, long end) {
    return part(scope, qkv, start * width + heads * headDim, 1, end - start, width);
  }

  private Tensor values(NDManager scope, Tensor qkv, long start, long end) {
    long offset = start * width + (heads + keyValueHeads) * headDim;
    return part(scope, qkv, offset, 1, end - start, width);
  }

  private Tensor output(NDManager scope, Activation attended, long start, long end) {
    long row = heads * headDim;
    return part(scope, attended.tensor(), start * row, groups, end - start, row);
  }

  private Tensor part(
      NDManager scope, Tensor matrix, long offset, long each, long length, long row) {
    long[] sizes = {keyValueHeads, each, length, headDim};
    return matrix.view(scope, offset, sizes, new long[] {each * headDim, headDim, row, 1});
  }
}
