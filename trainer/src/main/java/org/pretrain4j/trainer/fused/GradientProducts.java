package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Optional;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.GradientSink;

/** The two products of the backward pass of a projection {@code y = x weightᵀ}. */
sealed interface GradientProducts permits CublasProducts, MklProducts, TensorProducts {

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

  /** By MKL where it is given, else by libtorch's operators. */
  static GradientProducts of(Optional<MklGemm> gemm, NDManager manager, ScalarType type) {
    return gemm.isPresent() ? new MklProducts(gemm.get()) : new TensorProducts(manager, type);
  }
}
