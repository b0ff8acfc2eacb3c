package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/** The best rate of a square matrix product, which is what a training step is held against. */
public final class GemmPeak {
  private final Tensor a;
  private final Tensor b;
  private final long size;

  /**
   * @param manager owns the matrices
   * @param size rows and columns
   */
  public GemmPeak(NDManager manager, ScalarType type, int size) {
    this.size = size;
    this.a = Operators.to(filled(manager, size), type);
    this.b = Operators.to(filled(manager, size), type);
  }

  private static Tensor filled(NDManager manager, int size) {
    float[] values = new float[size * size];
    for (int i = 0; i < values.length; i++) {
      values[i] = (i % 7 - 3) * 0.25f;
    }
    return Tensor.of(manager, values, size, size);
  }

  /**
   * Runs some products, {@code 2 size³} operations each.
   *
   * @return operations a second of the fastest
   */
  public double measure(int repetitions) {
    double best = 0;
    for (int i = 0; i < repetitions; i++) {
      long start = System.nanoTime();
      Operators.linear(a, b).close();
      double seconds = (System.nanoTime() - start) * 1e-9;
      best = Math.max(best, 2.0 * size * size * size / seconds);
    }
    return best;
  }
}
