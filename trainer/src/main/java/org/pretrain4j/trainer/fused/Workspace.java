package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.ModelConfig;

/** All memory of the passes over micro-batches of one number of tokens; allocated once, reused. */
final class Workspace {
  /** Elements of a chunk of logits, unless a few rows alone have more. */
  private static final long LOGITS_ELEMENTS = 1L << 26;

  private static final long LEAST_CHUNK_TOKENS = 64;

  final List<LayerState> layers = new ArrayList<>();

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
      ScalarType type,
      ScalarType inputGradientType,
      long tokens) {
    long hidden = config.hiddenSize();
    long width = (long) config.numAttentionHeads() * config.headDim();
    long keyWidth = (long) config.numKeyValueHeads() * config.headDim();
    for (int layer = 0; layer < config.numHiddenLayers(); layer++) {
      layers.add(new LayerState(manager, config, type, tokens));
    }
    output = Activation.allocate(manager, type, tokens, hidden);
    gradient = Activation.allocate(manager, type, tokens, hidden);
    normed = Activation.allocate(manager, type, tokens, hidden);
    behindNorm = Activation.allocate(manager, inputGradientType, tokens, hidden);
    activated = Activation.allocate(manager, type, tokens, config.intermediateSize());
    activatedGradient = Activation.allocate(manager, type, tokens, config.intermediateSize());
    attendedGradient = Activation.allocate(manager, type, tokens, width);
    qkvGradient = Activation.allocate(manager, type, tokens, width + 2 * keyWidth);
    finalScale = Tensor.empty(manager, ScalarType.FLOAT32, tokens);
    long most = Math.max(LEAST_CHUNK_TOKENS, LOGITS_ELEMENTS / config.vocabSize());
    // Chunks of one size, as a product of few rows is slower.
    long chunk = Math.ceilDiv(tokens, Math.ceilDiv(tokens, most));
    logits = Activation.allocate(manager, type, chunk, config.vocabSize());
  }

  /** The residual stream behind a layer: the next layer's input, or the output. */
  Activation behind(int layer) {
    return layer + 1 < layers.size() ? layers.get(layer + 1).input : output;
  }
}
