package org.pretrain4j.trainer.fused;

import java.lang.foreign.MemorySegment;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.MklGemm.Factor;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.GradientSink;

/** Products that end in float32: the weights' go straight to their sums, nothing is rounded. */
final class MklProducts implements GradientProducts {
  private final MklGemm gemm;

  MklProducts(MklGemm gemm) {
    this.gemm = gemm;
  }

  @Override
  public void ofWeight(Weight weight, Activation gradient, Activation x, GradientSink sink) {
    int column = 0;
    for (FlatLayout.Entry part : weight.parts()) {
      int out = Math.toIntExact(part.shape().getFirst());
      try (GradientSink.Sum sum = sink.sumOf(part)) {
        gemm.multiply(
            out,
            x.matrix().columns(),
            x.matrix().rows(),
            new Factor(from(gradient.matrix(), column), gradient.matrix().columns(), true),
            factor(x.matrix()),
            !sum.first(),
            sum.tensor().segment(),
            x.matrix().columns());
      }
      column += out;
    }
  }

  @Override
  public void ofInput(Weight weight, Activation gradient, Activation result) {
    Matrix values = weight.value().matrix();
    gemm.multiply(
        result.matrix().rows(),
        values.columns(),
        values.rows(),
        factor(gradient.matrix()),
        factor(values),
        false,
        result.matrix().memory(),
        values.columns());
  }

  @Override
  public ScalarType inputGradientType() {
    return ScalarType.FLOAT32;
  }

  private static Factor factor(Matrix matrix) {
    return new Factor(matrix.memory(), matrix.columns(), false);
  }

  private static MemorySegment from(Matrix matrix, int column) {
    return matrix.memory().asSlice((long) column * matrix.elementBytes());
  }
}
