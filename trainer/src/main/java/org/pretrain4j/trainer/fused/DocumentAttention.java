package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.model.MicroBatch;

/** Causal attention in which a token sees the tokens of its own document alone. */
interface DocumentAttention {

  /**
   * From {@code state.qkv} to {@code state.attended}.
   *
   * @param manager owns what is kept in {@code state.logSumExp} for the backward pass
   */
  void forward(NDManager manager, MicroBatch batch, LayerState state);

  /**
   * Gradient of {@link #forward}; forgets what that kept.
   *
   * @param gradient {@code [tokens, heads * headDim]}
   * @param qkvGradient {@code [tokens, (heads + 2 keyValueHeads) * headDim]}, written
   */
  void backward(
      NDManager manager,
      MicroBatch batch,
      LayerState state,
      Activation gradient,
      Activation qkvGradient);
}
