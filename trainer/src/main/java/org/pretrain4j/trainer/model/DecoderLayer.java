package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.training.ParameterStore;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * Attention and feed-forward, each behind a norm and beside a residual path.
 *
 * <p>Inputs: hidden states {@code [batch, sequence, hidden]} and {@link Context}; output: hidden
 * states.
 */
final class DecoderLayer extends ModelBlock {
  private final RmsNorm inputNorm;
  private final GroupedQueryAttention attention;
  private final RmsNorm postAttentionNorm;
  private final SwiGlu feedForward;

  DecoderLayer(ModelConfig config, int layer) {
    String prefix = ModelLayout.layer(layer);
    double eps = config.rmsNormEps();
    this.inputNorm =
        addChildBlock(
            "input_layernorm",
            new RmsNorm(prefix + "input_layernorm.weight", config.hiddenSize(), eps));
    this.attention = addChildBlock("self_attn", new GroupedQueryAttention(config, layer));
    this.postAttentionNorm =
        addChildBlock(
            "post_attention_layernorm",
            new RmsNorm(prefix + "post_attention_layernorm.weight", config.hiddenSize(), eps));
    this.feedForward = addChildBlock("mlp", new SwiGlu(config, layer));
  }

  @Override
  NDList compute(ParameterStore store, NDList inputs, boolean training) {
    return feedForward(store, attend(store, inputs, training), training);
  }

  /** The first half, with attention: from the layer's inputs to hidden states. */
  NDList attend(ParameterStore store, NDList inputs, boolean training) {
    Tensor x = (Tensor) inputs.head();
    NDList normal = inputNorm.compute(store, new NDList(x), training);
    Tensor attended =
        (Tensor)
            attention
                .compute(store, Context.of(inputs).with((Tensor) normal.head()), training)
                .head();
    return new NDList(Operators.add(x, attended));
  }

  /** The second half, from hidden states to hidden states. */
  NDList feedForward(ParameterStore store, NDList inputs, boolean training) {
    Tensor middle = (Tensor) inputs.head();
    NDList behindNorm = postAttentionNorm.compute(store, new NDList(middle), training);
    Tensor fed = (Tensor) feedForward.compute(store, behindNorm, training).head();
    return new NDList(Operators.add(middle, fed));
  }
}
