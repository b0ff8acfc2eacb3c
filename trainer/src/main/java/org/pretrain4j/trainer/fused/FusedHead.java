package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.kernels.CrossEntropy;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.model.GradientSink;
import org.pretrain4j.trainer.model.ModelLayout;

/** The final norm, the projection to the vocabulary and the loss, in chunks of tokens. */
final class FusedHead {
  private final FusedLayer.Shared shared;
  private final Weight norm;
  private final Weight projection;

  FusedHead(FusedLayer.Shared shared) {
    this.shared = shared;
    this.norm = shared.weights().of(ModelLayout.FINAL_NORM);
    this.projection =
        shared
            .weights()
            .of(shared.config().tieWordEmbeddings() ? ModelLayout.EMBEDDING : ModelLayout.HEAD);
  }

  /**
   * Loss and gradients; {@code space.gradient} becomes that of the residual stream.
   *
   * @return sum of the losses over the targets that count
   */
  double run(int[] targets, Workspace space, GradientSink sink) {
    shared
        .norm()
        .forward(
            space.output.matrix(),
            norm.value().matrix(),
            space.normed.matrix(),
            space.finalScale.segment());
    double loss = 0;
    int chunk = space.logits.matrix().rows();
    for (int start = 0; start < targets.length; start += chunk) {
      int end = Math.min(targets.length, start + chunk);
      loss += chunk(Arrays.copyOfRange(targets, start, end), start, end, space, sink);
    }
    shared.normGradient().zero();
    shared
        .norm()
        .backward(
            space.behindNorm.matrix(),
            space.output.matrix(),
            norm.value().matrix(),
            space.finalScale.segment(),
            space.gradient.matrix(),
            shared.normGradient().segment());
    sink.add(norm.parts().getFirst(), shared.normGradient());
    return loss;
  }

  private double chunk(int[] targets, int start, int end, Workspace space, GradientSink sink) {
    try (NDManager scope = shared.manager().newSubManager()) {
      Activation logits = space.logits.rows(scope, 0, targets.length);
      Activation x = space.normed.rows(scope, start, end);
      Operators.matmulInto(x.tensor(), projection.value().transposed(), logits.tensor());
      double loss =
          CrossEntropy.forwardBackward(shared.pool(), logits.matrix(), targets, 1, logits.matrix());
      shared.products().ofInput(projection, logits, space.behindNorm.rows(scope, start, end));
      shared.products().ofWeight(projection, logits, x, sink);
      return loss;
    }
  }
}
