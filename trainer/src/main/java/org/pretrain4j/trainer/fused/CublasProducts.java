package org.pretrain4j.trainer.fused;

import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.cuda.DeviceGemm;
import org.pretrain4j.trainer.cuda.DeviceGemm.Factor;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.GradientSink;

/**
 * On GPUs: gradients of weights go straight to their float32 sums, those of inputs are of the
 * model's type.
 */
final class CublasProducts implements GradientProducts {
  private final DeviceGemm gemm;
  private final ScalarType type;

  CublasProducts(DeviceGemm gemm, ScalarType type) {
    this.gemm = gemm;
    this.type = type;
  }

  @Override
  public void ofWeight(Weight weight, Activation gradient, Activation x, GradientSink sink) {
    Factor input = new Factor(x.tensor().address(), x.columns(), false);
    long column = gradient.tensor().address();
    for (FlatLayout.Entry part : weight.parts()) {
      int out = Math.toIntExact(part.shape().getFirst());
      try (GradientSink.Sum sum = sink.sumOf(part)) {
        gemm.multiply(
            type,
            out,
            x.columns(),
            x.rows(),
            new Factor(column, gradient.columns(), true),
            input,
            !sum.first(),
            sum.tensor().address());
      }
      column += (long) out * type.bytes();
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
