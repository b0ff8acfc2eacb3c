package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import org.pretrain4j.trainer.libtorch.Tensor;

/** A DJL block whose parameters are weights and whose arrays are {@link Tensor}s. */
abstract class ModelBlock extends AbstractBlock {

  Parameter weight(String name, long... shape) {
    return addParameter(
        Parameter.builder()
            .setName(name)
            .setType(Parameter.Type.WEIGHT)
            .optShape(new Shape(shape))
            .build());
  }

  static Tensor value(ParameterStore store, Parameter parameter, Tensor beside, boolean training) {
    return (Tensor) store.getValue(parameter, beside.getDevice(), training);
  }

  abstract NDList compute(ParameterStore store, NDList inputs, boolean training);

  @Override
  protected final NDList forwardInternal(
      ParameterStore store,
      NDList inputs,
      boolean training,
      PairList<String, Object> hyperparameters) {
    return compute(store, inputs, training);
  }

  /** Most blocks map hidden states to hidden states. */
  @Override
  public Shape[] getOutputShapes(Shape[] inputShapes) {
    return new Shape[] {inputShapes[0]};
  }
}
