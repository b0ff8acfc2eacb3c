package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.Tensor;

/** {@code down(silu(gate(x)) * up(x))} on {@code [batch, sequence, hidden]}. */
final class SwiGlu extends ModelBlock {
  private final Parameter gate;
  private final Parameter up;
  private final Parameter down;

  SwiGlu(ModelConfig config, int layer) {
    String prefix = ModelLayout.layer(layer) + "mlp.";
    this.gate = weight(prefix + "gate_proj.weight", config.intermediateSize(), config.hiddenSize());
    this.up = weight(prefix + "up_proj.weight", config.intermediateSize(), config.hiddenSize());
    this.down = weight(prefix + "down_proj.weight", config.hiddenSize(), config.intermediateSize());
  }

  @Override
  NDList compute(ParameterStore store, NDList inputs, boolean training) {
    Tensor x = (Tensor) inputs.singletonOrThrow();
    Tensor gated = Operators.silu(Operators.linear(x, value(store, gate, x, training)));
    Tensor raised = Operators.linear(x, value(store, up, x, training));
    Tensor product = Operators.mul(gated, raised);
    return new NDList(Operators.linear(product, value(store, down, x, training)));
  }
}
