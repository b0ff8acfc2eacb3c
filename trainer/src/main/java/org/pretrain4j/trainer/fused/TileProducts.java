package org.pretrain4j.trainer.fused;

import java.lang.foreign.MemorySegment;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.fused.TileProduct.Factor;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.GradientSink;

/** Products in tiles; those of sizes that tiles don't fit are left to others. */
final class TileProducts implements GradientProducts {
  /** Of a longer inner axis MKL's cut measures faster. */
  private static final int MOST_INNER = 16_384;

  /** Of smaller weights MKL's gradient measures faster. */
  private static final long LEAST_WEIGHT = 16L << 20;

  private final TileProduct tiles;
  private final MklProducts others;

  TileProducts(TileProduct tiles, MklProducts others) {
    this.tiles = tiles;
    this.others = others;
  }

  @Override
  public void forward(Weight weight, Activation x, Activation y) {
    if (!forward(weight, x.matrix(), new TileProduct.Rounded(y.matrix(), null))) {
      others.forward(weight, x, y);
    }
  }

  @Override
  public void addForward(Activation residual, Activation x, Weight weight, Activation sum) {
    TileProduct.Rounded rounded = new TileProduct.Rounded(sum.matrix(), residual.matrix());
    if (!forward(weight, x.matrix(), rounded)) {
      others.addForward(residual, x, weight, sum);
    }
  }

  private boolean forward(Weight weight, Matrix x, TileProduct.Result result) {
    Matrix values = weight.value().matrix();
    boolean fits = TileProduct.fits(x.rows(), values.rows(), x.columns(), false);
    if (fits) {
      Factor transposed = new Factor(values, 0, true);
      tiles.multiply(x.rows(), values.rows(), x.columns(), factor(x), transposed, result);
    }
    return fits;
  }

  @Override
  public void ofInput(Weight weight, Activation gradient, Activation result) {
    Matrix target = result.matrix();
    TileProduct.Sum sum = new TileProduct.Sum(target.memory(), target.columns(), false);
    if (!ofInput(weight, gradient.matrix(), sum)) {
      others.ofInput(weight, gradient, result);
    }
  }

  @Override
  public void roundedOfInput(Weight weight, Activation gradient, Activation result) {
    TileProduct.Rounded rounded = new TileProduct.Rounded(result.matrix(), null);
    if (!ofInput(weight, gradient.matrix(), rounded)) {
      others.roundedOfInput(weight, gradient, result);
    }
  }

  private boolean ofInput(Weight weight, Matrix gradient, TileProduct.Result result) {
    Matrix values = weight.value().matrix();
    boolean fits =
        values.rows() <= MOST_INNER
            && TileProduct.fits(gradient.rows(), values.columns(), values.rows(), false);
    if (fits) {
      tiles.multiply(
          gradient.rows(),
          values.columns(),
          values.rows(),
          factor(gradient),
          factor(values),
          result);
    }
    return fits;
  }

  @Override
  public void ofWeight(Weight weight, Activation gradient, Activation x, GradientSink sink) {
    Matrix right = x.matrix();
    int in = right.columns();
    boolean fits = true;
    for (FlatLayout.Entry part : weight.parts()) {
      fits &=
          (long) rows(part) * in >= LEAST_WEIGHT
              && TileProduct.fits(rows(part), in, right.rows(), true);
    }
    if (!fits) {
      others.ofWeight(weight, gradient, x, sink);
      return;
    }
    int column = 0;
    for (FlatLayout.Entry part : weight.parts()) {
      try (GradientSink.Sum sum = sink.sumOf(part)) {
        MemorySegment target = sum.tensor().segment();
        tiles.multiply(
            rows(part),
            in,
            right.rows(),
            new Factor(gradient.matrix(), column, true),
            factor(right),
            new TileProduct.Sum(target, in, !sum.first()));
      }
      column += rows(part);
    }
  }

  @Override
  public ScalarType inputGradientType() {
    return ScalarType.FLOAT32;
  }

  private static int rows(FlatLayout.Entry part) {
    return Math.toIntExact(part.shape().getFirst());
  }

  private static Factor factor(Matrix matrix) {
    return new Factor(matrix, 0, false);
  }
}
