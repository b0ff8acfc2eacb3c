package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.Tensor;

/** {@code [batch, sequence] -> [batch, sequence, hidden]}, int64 indices. */
final class TokenEmbedding extends ModelBlock {
  private final Parameter table;

  TokenEmbedding(ModelConfig config) {
    this.table = weight(ModelLayout.EMBEDDING, config.vocabSize(), config.hiddenSize());
  }

  @Override
  NDList compute(ParameterStore store, NDList inputs, boolean training) {
    Tensor indices = (Tensor) inputs.singletonOrThrow();
    return new NDList(Operators.embedding(value(store, table, indices, training), indices));
  }

  @Override
  public Shape[] getOutputShapes(Shape[] inputShapes) {
    return new Shape[] {inputShapes[0].add(table.getShape().get(1))};
  }
}
