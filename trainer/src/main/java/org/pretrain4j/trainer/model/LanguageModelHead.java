package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * The final norm and the projection to the vocabulary, whose weight is the embedding table if the
 * two are tied: {@code [..., hidden] -> [..., vocabulary]}.
 */
final class LanguageModelHead extends ModelBlock {
  private final RmsNorm norm;
  private final Parameter projection;

  LanguageModelHead(ModelConfig config) {
    this.norm =
        addChildBlock(
            "norm", new RmsNorm(ModelLayout.FINAL_NORM, config.hiddenSize(), config.rmsNormEps()));
    String name = config.tieWordEmbeddings() ? ModelLayout.EMBEDDING : ModelLayout.HEAD;
    this.projection = weight(name, config.vocabSize(), config.hiddenSize());
  }

  @Override
  NDList compute(ParameterStore store, NDList inputs, boolean training) {
    NDList normal = norm.compute(store, inputs, training);
    Tensor x = (Tensor) normal.head();
    return new NDList(Operators.linear(x, value(store, projection, x, training)));
  }

  @Override
  public Shape[] getOutputShapes(Shape[] inputShapes) {
    return new Shape[] {
      inputShapes[0].slice(0, inputShapes[0].dimension() - 1).add(projection.getShape().get(0))
    };
  }
}
