package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.GradientSink;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;

/** One decoder layer, forward and backward by hand. */
final class FusedLayer {
  /** What all layers of a model share. */
  record Shared(
      NDManager manager,
      ModelConfig config,
      Weights weights,
      FusedOperators operators,
      Tensor normGradient) {}

  private final Shared shared;
  private final FusedOperators operators;
  private final boolean rotates;
  private final Weight inputNorm;
  private final Weight qkv;
  private final Weight output;
  private final Weight middleNorm;
  private final Weight gateUp;
  private final Weight down;

  FusedLayer(Shared shared, int layer) {
    this.shared = shared;
    this.operators = shared.operators();
    this.rotates = ModelLayout.rotates(shared.config(), layer);
    String prefix = ModelLayout.layer(layer);
    Weights weights = shared.weights();
    inputNorm = weights.of(prefix + "input_layernorm.weight");
    qkv =
        weights.of(
            prefix + "self_attn.q_proj.weight",
            prefix + "self_attn.k_proj.weight",
            prefix + "self_attn.v_proj.weight");
    output = weights.of(prefix + "self_attn.o_proj.weight");
    middleNorm = weights.of(prefix + "post_attention_layernorm.weight");
    gateUp = weights.of(prefix + "mlp.gate_proj.weight", prefix + "mlp.up_proj.weight");
    down = weights.of(prefix + "mlp.down_proj.weight");
  }

  /** From the state's input to the residual stream behind the layer. */
  void forward(MicroBatch batch, LayerState state, Workspace space, Activation behind) {
    attend(batch, state, space);
    expand(state, space);
    operators.swiGlu(state.gateUp, space.activated);
    operators.products().addForward(state.middle, space.activated, down, behind);
  }

  /** Computes again what the forward pass of the layer left in memory that others have used. */
  void recompute(
      ActivationCheckpointing checkpointing, MicroBatch batch, LayerState state, Workspace space) {
    if (checkpointing == ActivationCheckpointing.FULL) {
      attend(batch, state, space);
    }
    expand(state, space);
  }

  private void attend(MicroBatch batch, LayerState state, Workspace space) {
    normInput(state, space);
    operators.products().forward(qkv, space.normed, state.qkv);
    if (rotates) {
      operators.rotate(state.qkv, rotatedHeads(), batch.sequenceLength());
    }
    operators.attention().forward(shared.manager(), batch, state);
    operators.products().addForward(state.input, state.attended, output, state.middle);
  }

  private void expand(LayerState state, Workspace space) {
    normMiddle(state, space);
    operators.products().forward(gateUp, space.normed, state.gateUp);
  }

  /**
   * Turns the gradient behind the layer into that before it, in place, and delivers those of the
   * weights.
   */
  void backward(MicroBatch batch, LayerState state, Workspace space, GradientSink sink) {
    Activation gradient = space.gradient;
    operators.products().roundedOfInput(down, gradient, space.activatedGradient);
    operators.swiGluBackward(space.activatedGradient, state.gateUp, space.activated);
    operators.products().ofWeight(down, gradient, space.activated, sink);
    normMiddle(state, space);
    operators.products().ofWeight(gateUp, state.gateUp, space.normed, sink);
    operators.products().ofInput(gateUp, state.gateUp, space.behindNorm);
    throughNorm(middleNorm, state.middle, state.middleScale, space, sink);

    operators.products().ofWeight(output, gradient, state.attended, sink);
    operators.products().roundedOfInput(output, gradient, space.attendedGradient);
    operators
        .attention()
        .backward(shared.manager(), batch, state, space.attendedGradient, space.qkvGradient);
    if (rotates) {
      operators.rotateBack(space.qkvGradient, rotatedHeads(), batch.sequenceLength());
    }
    normInput(state, space);
    operators.products().ofWeight(qkv, space.qkvGradient, space.normed, sink);
    operators.products().ofInput(qkv, space.qkvGradient, space.behindNorm);
    throughNorm(inputNorm, state.input, state.inputScale, space, sink);
  }

  private int rotatedHeads() {
    return shared.config().numAttentionHeads() + shared.config().numKeyValueHeads();
  }

  private void normInput(LayerState state, Workspace space) {
    operators.norm(state.input, inputNorm.value(), space.normed, state.inputScale);
  }

  private void normMiddle(LayerState state, Workspace space) {
    operators.norm(state.middle, middleNorm.value(), space.normed, state.middleScale);
  }

  /** Adds what comes back through a norm to the gradient that passed beside it. */
  private void throughNorm(
      Weight weight, Activation normedInput, Tensor scale, Workspace space, GradientSink sink) {
    Tensor weightGradient = shared.normGradient();
    weightGradient.zero();
    operators.normBackward(
        space.behindNorm,
        space.gradient,
        normedInput,
        weight.value(),
        scale,
        space.gradient,
        weightGradient);
    sink.add(weight.parts().getFirst(), weightGradient);
  }
}
