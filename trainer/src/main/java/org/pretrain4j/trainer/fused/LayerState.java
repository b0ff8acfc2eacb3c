package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.ModelConfig;

/**
 * What a layer's forward pass leaves for its backward pass. Norms and the activation are computed
 * again there, which costs little and saves the memory of three matrices.
 */
final class LayerState {
  /** {@code [tokens, hidden]}: the residual stream before the layer. */
  final Activation input;

  /** {@code [tokens, hidden]}: the residual stream between attention and feed-forward. */
  final Activation middle;

  /** {@code [tokens, (heads + 2 keyValueHeads) * headDim]}: rotated queries and keys, values. */
  final Activation qkv;

  /** {@code [tokens, heads * headDim]}. */
  final Activation attended;

  /** {@code [tokens, 2 * intermediate]}: gate, then up. */
  final Activation gateUp;

  /** float32 {@code [tokens]} each: what the norms divided by. */
  final Tensor inputScale;

  final Tensor middleScale;

  /** What the attention keeps, such as the logarithms of the sums of the exponentials. */
  final List<Tensor> logSumExp;

  /** A state of its own memory. */
  LayerState(NDManager manager, ModelConfig config, ScalarType type, long tokens) {
    this(
        manager,
        config,
        type,
        tokens,
        Activation.allocate(manager, type, tokens, 2L * config.intermediateSize()));
  }

  /** A state of its own memory but for gate and up. */
  LayerState(
      NDManager manager, ModelConfig config, ScalarType type, long tokens, Activation gateUp) {
    long width = (long) config.numAttentionHeads() * config.headDim();
    long keyWidth = (long) config.numKeyValueHeads() * config.headDim();
    input = Activation.allocate(manager, type, tokens, config.hiddenSize());
    middle = Activation.allocate(manager, type, tokens, config.hiddenSize());
    qkv = Activation.allocate(manager, type, tokens, width + 2 * keyWidth);
    attended = Activation.allocate(manager, type, tokens, width);
    this.gateUp = gateUp;
    inputScale = Tensor.empty(manager, ScalarType.FLOAT32, tokens);
    middleScale = Tensor.empty(manager, ScalarType.FLOAT32, tokens);
    logSumExp = new ArrayList<>();
  }

  /** A state in the memory of another, but for its input. */
  LayerState(LayerState shared, Activation input) {
    this.input = input;
    middle = shared.middle;
    qkv = shared.qkv;
    attended = shared.attended;
    gateUp = shared.gateUp;
    inputScale = shared.inputScale;
    middleScale = shared.middleScale;
    logSumExp = shared.logSumExp;
  }

  void forgetAttention() {
    logSumExp.forEach(Tensor::close);
    logSumExp.clear();
  }
}
