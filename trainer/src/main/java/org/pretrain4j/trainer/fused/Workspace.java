package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.ModelConfig;

/** All memory of the passes over micro-batches of one number of tokens; allocated once, reused. */
final class Workspace {
  final List<LayerState> layers;

  /** {@code [tokens, hidden]}: what the last layer leaves; then the gradient on its way down. */
  final Activation output;

  final Activation gradient;

  /** {@code [tokens, hidden]}: a normed stream, or the gradient behind a norm. */
  final Activation normed;

  final Activation behindNorm;

  /** {@code [tokens, intermediate]} each. */
  final Activation activated;

  final Activation activatedGradient;

  /** Gradients of the attention: of its output, and of queries, keys and values. */
  final Activation attendedGradient;

  final Activation qkvGradient;

  /** float32 {@code [tokens]} of the final norm. */
  final Tensor finalScale;

  /** {@code [chunkTokens, vocabulary]}: logits, then their gradient. */
  final Activation logits;

  Workspace(
      NDManager manager,
      ModelConfig config,
      ActivationCheckpointing checkpointing,
      ScalarType type,
      ScalarType inputGradientType,
      long tokens,
      long mostChunkTokens) {
    long hidden = config.hiddenSize();
    long width = (long) config.numAttentionHeads() * config.headDim();
    long keyWidth = (long) config.numKeyValueHeads() * config.headDim();
    layers = layers(manager, config, checkpointing, type, tokens);
    output = Activation.allocate(manager, type, tokens, hidden);
    gradient = Activation.allocate(manager, type, tokens, hidden);
    normed = Activation.allocate(manager, type, tokens, hidden);
    behindNorm = Activation.allocate(manager, inputGradientType, tokens, hidden);
    activated = Activation.allocate(manager, type, tokens, config.intermediateSize());
    activatedGradient = Activation.allocate(manager, type, tokens, config.intermediateSize());
    attendedGradient = Activation.allocate(manager, type, tokens, width);
    qkvGradient = Activation.allocate(manager, type, tokens, width + 2 * keyWidth);
    finalScale = Tensor.empty(manager, ScalarType.FLOAT32, tokens);
    long chunk = LogitChunks.cut(tokens, mostChunkTokens);
    logits = Activation.allocate(manager, type, chunk, config.vocabSize());
  }

  /** States that share the memory of what is computed again; it holds that of the latest layer. */
  private static List<LayerState> layers(
      NDManager manager,
      ModelConfig config,
      ActivationCheckpointing checkpointing,
      ScalarType type,
      long tokens) {
    List<LayerState> states = new ArrayList<>();
    for (int layer = 0; layer < config.numHiddenLayers(); layer++) {
      states.add(
          layer == 0
              ? new LayerState(manager, config, type, tokens)
              : switch (checkpointing) {
                case NONE -> new LayerState(manager, config, type, tokens);
                case SELECTED ->
                    new LayerState(manager, config, type, tokens, states.getFirst().gateUp);
                case FULL ->
                    new LayerState(
                        states.getFirst(),
                        Activation.allocate(manager, type, tokens, config.hiddenSize()));
              });
    }
    return List.copyOf(states);
  }

  /** The residual stream behind a layer: the next layer's input, or the output. */
  Activation behind(int layer) {
    return layer + 1 < layers.size() ? layers.get(layer + 1).input : output;
  }
}
