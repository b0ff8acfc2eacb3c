package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.GradientSink;

/** Products by libtorch's operators, which every build has; results are of the model's type. */
final class TensorProducts implements GradientProducts {
  private final NDManager manager;
  private final ScalarType type;

  /** Scratch memory for the gradients of weights, shared by all weights of a shape. */
  private final Map<List<Long>, Activation> scratch = new HashMap<>();

  TensorProducts(NDManager manager, ScalarType type) {
    this.manager = manager;
    this.type = type;
  }

  @Override
  public void ofWeight(Weight weight, Activation gradient, Activation x, GradientSink sink) {
    long out = gradient.tensor().size(1);
    long in = x.tensor().size(1);
    Activation product =
        scratch.computeIfAbsent(
            List.of(out, in), shape -> Activation.allocate(manager, type, out, in));
    Operators.matmulInto(gradient.transposed(), x.tensor(), product.tensor());
    long offset = 0;
    for (FlatLayout.Entry part : weight.parts()) {
      long[] shape = part.shape().stream().mapToLong(Long::longValue).toArray();
      try (Tensor rows = product.tensor().view(manager, offset, shape)) {
        sink.add(part, rows);
      }
      offset += part.elements();
    }
  }

  @Override
  public void ofInput(Weight weight, Activation gradient, Activation result) {
    Operators.matmulInto(gradient.tensor(), weight.value().tensor(), result.tensor());
  }

  @Override
  public ScalarType inputGradientType() {
    return type;
  }
}
