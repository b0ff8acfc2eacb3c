package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.fused.Weights.Weight;
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
   * Loss and gradients; {@code space.gradient} becomes that of the residual stream. The losses are
   * added to those of the operators.
   */
  void run(Workspace space, GradientSink sink) {
    FusedOperators operators = shared.operators();
    operators.norm(space.output, norm.value(), space.normed, space.finalScale);
    int tokens = space.output.rows();
    int chunk = space.logits.rows();
    for (int start = 0; start < tokens; start += chunk) {
      chunk(start, Math.min(tokens, start + chunk), space, sink);
    }
    shared.normGradient().zero();
    operators.normBackward(
        space.behindNorm,
        null,
        space.output,
        norm.value(),
        space.finalScale,
        space.gradient,
        shared.normGradient());
    sink.add(norm.parts().getFirst(), shared.normGradient());
  }

  private void chunk(int start, int end, Workspace space, GradientSink sink) {
    GradientProducts products = shared.operators().products();
    try (NDManager scope = shared.manager().newSubManager()) {
      Activation logits = space.logits.rows(scope, 0, end - start);
      Activation x = space.normed.rows(scope, start, end);
      products.forward(projection, x, logits);
      shared.operators().crossEntropy(logits, start);
      products.ofInput(projection, logits, space.behindNorm.rows(scope, start, end));
      products.ofWeight(projection, logits, x, sink);
    }
  }
}
