package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.List;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;

/**
 * On GPUs, all documents of a micro-batch in one call of flash attention, which skips what the mask
 * excludes, reads queries, keys and values where the projection left them, and lets grouped heads
 * share their keys within the kernel.
 */
final class VarlenAttention implements DocumentAttention {
  private final BatchStaging batch;
  private final long heads;
  private final long keyValueHeads;
  private final long headDim;
  private final long width;
  private final double scale;

  /**
   * @param batch knows where the documents of the current micro-batch begin
   */
  VarlenAttention(ModelConfig config, BatchStaging batch) {
    this.batch = batch;
    heads = config.numAttentionHeads();
    keyValueHeads = config.numKeyValueHeads();
    headDim = config.headDim();
    width = (heads + 2 * keyValueHeads) * headDim;
    scale = Math.pow(headDim, -0.5);
  }

  @Override
  public void forward(NDManager manager, MicroBatch microBatch, LayerState state) {
    state.forgetAttention();
    try (NDManager scope = manager.newSubManager()) {
      Tensor qkv = state.qkv.tensor();
      Operators.VarlenAttention result =
          Operators.varlenAttention(
              queries(scope, qkv),
              keys(scope, qkv),
              values(scope, qkv),
              batch.cumulativeLengths(),
              batch.longestDocument(),
              scale);
      output(scope, state.attended.tensor()).copyFrom(result.output());
      for (Tensor kept : List.of(result.logSumExp(), result.randomState(), result.unused())) {
        state.logSumExp.add(kept.alias(manager));
      }
    }
  }

  @Override
  public void backward(
      NDManager manager,
      MicroBatch microBatch,
      LayerState state,
      Activation gradient,
      Activation qkvGradient) {
    try (NDManager scope = manager.newSubManager()) {
      Tensor qkv = state.qkv.tensor();
      Operators.FlashGradients gradients =
          Operators.varlenAttentionBackward(
              output(scope, gradient.tensor()),
              queries(scope, qkv),
              keys(scope, qkv),
              values(scope, qkv),
              new Operators.VarlenAttention(
                  output(scope, state.attended.tensor()),
                  state.logSumExp.get(0),
                  state.logSumExp.get(1),
                  state.logSumExp.get(2)),
              batch.cumulativeLengths(),
              batch.longestDocument(),
              scale);
      Tensor target = qkvGradient.tensor();
      queries(scope, target).copyFrom(gradients.query());
      keys(scope, target).copyFrom(gradients.key());
      values(scope, target).copyFrom(gradients.value());
    }
    state.forgetAttention();
  }

  /** {@code [tokens, heads, headDim]}. */
  private Tensor queries(NDManager scope, Tensor qkv) {
    return part(scope, qkv, 0, heads);
  }

  private Tensor keys(NDManager scope, Tensor qkv) {
    return part(scope, qkv, heads * headDim, keyValueHeads);
  }

  private Tensor values(NDManager scope, Tensor qkv) {
    return part(scope, qkv, (heads + keyValueHeads) * headDim, keyValueHeads);
  }

  private Tensor part(NDManager scope, Tensor qkv, long column, long count) {
    long[] sizes = {qkv.size(0), count, headDim};
    return qkv.view(scope, column, sizes, new long[] {width, headDim, 1});
  }

  private Tensor output(NDManager scope, Tensor attended) {
    return attended.view(scope, 0, attended.size(0), heads, headDim);
  }
}
