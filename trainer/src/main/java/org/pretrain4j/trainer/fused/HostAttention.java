package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;

/**
 * One document at a time, so that what the mask excludes is never computed. The kernel reads
 * queries, keys and values where the projection left them; grouped heads share their keys through a
 * stride of zero, with key-value heads in the place of the batch.
 */
final class HostAttention implements DocumentAttention {
  private final int heads;
  private final int keyValueHeads;
  private final int groups;
  private final int headDim;
  private final long width;
  private final double scale;

  private final Optional<TiledAttention> tiles;
  private final Optional<AttentionGradient> gradients;

  /**
   * @param tiles what computes it, if not libtorch's operator
   * @param gradients what computes the gradient, if not libtorch's operator
   */
  HostAttention(
      ModelConfig config, Optional<TiledAttention> tiles, Optional<AttentionGradient> gradients) {
    this.tiles = tiles;
    this.gradients = gradients;
    heads = config.numAttentionHeads();
    keyValueHeads = config.numKeyValueHeads();
    groups = heads / keyValueHeads;
    headDim = config.headDim();
    width = (long) (heads + 2 * keyValueHeads) * headDim;
    scale = Math.pow(headDim, -0.5);
  }

  /** Work on tokens {@code [start, end)} of the flattened micro-batch, all of one document. */
  @FunctionalInterface
  interface DocumentWork {
    void run(int index, long start, long end);
  }

  @Override
  public void forward(NDManager manager, MicroBatch batch, LayerState state) {
    if (tiles.isPresent()) {
      if (state.logSumExp.isEmpty()) {
        long tokens = state.attended.matrix().rows();
        state.logSumExp.add(Tensor.empty(manager, ScalarType.FLOAT32, heads * tokens));
      }
      tiles.get().run(documents(batch, state), state.qkv.matrix(), state.attended.matrix());
      return;
    }
    state.forgetAttention();
    forEachDocument(
        batch,
        (index, start, end) -> {
          try (NDManager scope = manager.newSubManager()) {
            Tensor qkv = state.qkv.tensor();
            Operators.FlashAttention result =
                Operators.cpuFlashAttention(
                    queries(scope, qkv, start, end),
                    keys(scope, qkv, start, end),
                    values(scope, qkv, start, end),
                    scale);
            output(scope, state.attended.tensor(), start, end).copyFrom(result.output());
            state.logSumExp.add(Operators.contiguous(result.logSumExp()).alias(manager));
          }
        });
  }

  @Override
  public void backward(
      NDManager manager,
      MicroBatch batch,
      LayerState state,
      Activation gradient,
      Activation qkvGradient) {
    if (gradients.isPresent()) {
      gradients
          .get()
          .run(
              documents(batch, state),
              state.qkv.matrix(),
              state.attended.matrix(),
              gradient.matrix(),
              qkvGradient.matrix());
    } else {
      backwardByOperator(manager, batch, state, gradient, qkvGradient);
    }
    if (tiles.isEmpty()) {
      state.forgetAttention();
    }
  }

  private List<TiledAttention.Document> documents(MicroBatch batch, LayerState state) {
    List<TiledAttention.Document> documents = new ArrayList<>();
    forEachDocument(
        batch,
        (index, start, end) ->
            documents.add(new TiledAttention.Document(start, end, logSumExp(state, index, start))));
    return documents;
  }

  /** In tiles, one tensor holds the logarithms of all documents; else each has its own. */
  private MemorySegment logSumExp(LayerState state, int index, long start) {
    if (tiles.isEmpty()) {
      return state.logSumExp.get(index).segment();
    }
    return state.logSumExp.getFirst().segment().asSlice(start * heads * Float.BYTES);
  }

  private void backwardByOperator(
      NDManager manager,
      MicroBatch batch,
      LayerState state,
      Activation gradient,
      Activation qkvGradient) {
    forEachDocument(
        batch,
        (index, start, end) -> {
          try (NDManager scope = manager.newSubManager()) {
            Tensor qkv = state.qkv.tensor();
            Operators.FlashGradients result =
                Operators.cpuFlashAttentionBackward(
                    output(scope, gradient.tensor(), start, end),
                    queries(scope, qkv, start, end),
                    keys(scope, qkv, start, end),
                    values(scope, qkv, start, end),
                    new Operators.FlashAttention(
                        output(scope, state.attended.tensor(), start, end),
                        state.logSumExp.get(index)),
                    scale);
            Tensor target = qkvGradient.tensor();
            queries(scope, target, start, end).copyFrom(result.query());
            long keyStart = start * width + (long) heads * headDim;
            long valueStart = keyStart + (long) keyValueHeads * headDim;
            shared(scope, target, keyStart, end - start)
                .copyFrom(Operators.sumOverAxis(result.key(), 1));
            shared(scope, target, valueStart, end - start)
                .copyFrom(Operators.sumOverAxis(result.value(), 1));
          }
        });
  }

  static void forEachDocument(MicroBatch batch, DocumentWork work) {
    int index = 0;
    List<int[]> starts = batch.documentStarts();
    for (int row = 0; row < batch.rows(); row++) {
      long rowStart = (long) row * batch.sequenceLength();
      long start = rowStart;
      for (int next : starts.get(row)) {
        work.run(index++, start, rowStart + next);
        start = rowStart + next;
      }
      work.run(index++, start, rowStart + batch.sequenceLength());
    }
  }

  /** {@code [keyValueHeads, groups, length, headDim]}. */
  private Tensor queries(NDManager scope, Tensor qkv, long start, long end) {
    long[] strides = {(long) groups * headDim, headDim, width, 1};
    return qkv.view(scope, start * width, shape(end - start), strides);
  }

  private Tensor keys(NDManager scope, Tensor qkv, long start, long end) {
    long[] strides = {headDim, 0, width, 1};
    return qkv.view(scope, start * width + (long) heads * headDim, shape(end - start), strides);
  }

  private Tensor values(NDManager scope, Tensor qkv, long start, long end) {
    long[] strides = {headDim, 0, width, 1};
    long offset = start * width + (long) (heads + keyValueHeads) * headDim;
    return qkv.view(scope, offset, shape(end - start), strides);
  }

  private Tensor output(NDManager scope, Tensor attended, long start, long end) {
    long row = (long) heads * headDim;
    long[] strides = {(long) groups * headDim, headDim, row, 1};
    return attended.view(scope, start * row, shape(end - start), strides);
  }

  /** {@code [keyValueHeads, length, headDim]}: the keys or the values of a document. */
  private Tensor shared(NDManager scope, Tensor qkv, long offset, long length) {
    long[] sizes = {keyValueHeads, length, headDim};
    long[] strides = {headDim, width, 1};
    return qkv.view(scope, offset, sizes, strides);
  }

  private long[] shape(long length) {
    return new long[] {keyValueHeads, groups, length, headDim};
  }
}
