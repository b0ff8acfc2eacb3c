package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * {@code x / sqrt(mean(x²) + eps) * weight}: statistics in float32, cast back, then the weight
 * (Hugging Face's order of rounding).
 *
 * <p>{@code [batch, sequence, hidden] -> [batch, sequence, hidden]}
 */
final class RmsNorm extends ModelBlock {
  private final Parameter weight;
  private final double eps;

  RmsNorm(String name, int hiddenSize, double eps) {
    this.weight = weight(name, hiddenSize);
    this.eps = eps;
  }

  @Override
  NDList compute(ParameterStore store, NDList inputs, boolean training) {
    Tensor x = (Tensor) inputs.singletonOrThrow();
    Tensor precise = Operators.to(x, ScalarType.FLOAT32);
    Tensor meanSquare = Operators.meanOfLastAxis(Operators.mul(precise, precise));
    Tensor scale = Operators.rsqrt(Operators.add(meanSquare, eps));
    Tensor normal = Operators.to(Operators.mul(precise, scale), x.type());
    return new NDList(Operators.mul(normal, value(store, weight, x, training)));
  }
}
