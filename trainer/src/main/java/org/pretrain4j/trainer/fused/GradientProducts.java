package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Optional;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.GradientSink;

/** The products of a projection {@code y = x weightᵀ}, forward and backward. */
sealed interface GradientProducts
    permits CublasProducts, MklProducts, TensorProducts, TileProducts {

  /**
   * The projection.
   *
   * @param x {@code [tokens, in]}
   * @param y {@code [tokens, out]}, written
   */
  default void forward(Weight weight, Activation x, Activation y) {
    Operators.matmulInto(x.tensor(), weight.value().transposed(), y.tensor());
  }

  /**
   * The projection plus the stream beside it, rounded once.
   *
   * @param x {@code [tokens, in]}
   * @param residual {@code [tokens, out]}
   * @param sum {@code [tokens, out]}, written
   */
  default void addForward(Activation residual, Activation x, Weight weight, Activation sum) {
    sum.tensor().copyFrom(residual.tensor());
    Operators.addMatmul(sum.tensor(), x.tensor(), weight.value().transposed());
  }

  /**
   * The gradient of x, {@code gradient weight}, in the type of the model.
   *
   * @param result {@code [tokens, in]}, written
   */
  default void roundedOfInput(Weight weight, Activation gradient, Activation result) {
    Operators.matmulInto(gradient.tensor(), weight.value().tensor(), result.tensor());
  }

  /**
   * Adds the gradient of the weight, {@code gradientᵀ x}, to its sum.
   *
   * @param gradient of y, {@code [tokens, out]}
   * @param x {@code [tokens, in]}
   */
  void ofWeight(Weight weight, Activation gradient, Activation x, GradientSink sink);

  /**
   * The gradient of x, {@code gradient weight}.
   *
   * @param result {@code [tokens, in]} of {@link #inputGradientType}, written
   */
  void ofInput(Weight weight, Activation gradient, Activation result);

  /** Type of the gradients of inputs. */
  ScalarType inputGradientType();

  /** By MKL where it is given, else by libtorch's operators; in tiles where that is given, too. */
  static GradientProducts of(
      Optional<MklGemm> gemm,
      Optional<TileGemm> tiles,
      NDManager manager,
      ScalarType type,
      WorkerPool pool) {
    if (gemm.isEmpty()) {
      return new TensorProducts(manager, type);
    }
    MklProducts products = new MklProducts(gemm.get());
    return tiles.isPresent() && type == ScalarType.BFLOAT16
        ? new TileProducts(new TileProduct(tiles.get(), manager, pool), products)
        : products;
  }
}
