package org.pretrain4j.trainer.machine;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/** The best rate of a square matrix product, which is what a training step is held against. */
public final class GemmPeak {
  private final Tensor a;
  private final Tensor b;
  private final long size;
  private final ComputeDevice device;

  /**
   * @param manager of the device; owns the matrices
   * @param size rows and columns
   */
  public GemmPeak(NDManager manager, ComputeDevice device, ScalarType type, int size) {
    this.device = device;
    this.size = size;
    this.a = Operators.to(filled(manager, size), type);
    this.b = Operators.to(filled(manager, size), type);
  }

  private static Tensor filled(NDManager manager, int size) {
    float[] values = new float[2 * size];
    for (int i = 0; i < values.length; i++) {
      values[i] = (i % 7 - 3) * 0.25f;
    }
    // Each row is the one above, shifted; spread out on the device.
    Tensor line = Tensor.of(manager, values, values.length);
    long[] sizes = {size, size};
    return Operators.contiguous(line.view(manager, 0, sizes, new long[] {1, 1}));
  }

  /**
   * Runs some products, {@code 2 size³} operations each.
   *
   * @return operations a second of the fastest
   */
  public double measure(int repetitions) {
    double best = 0;
    for (int i = 0; i < repetitions; i++) {
      device.synchronize();
      long start = System.nanoTime();
      Operators.linear(a, b).close();
      device.synchronize();
      double seconds = (System.nanoTime() - start) * 1e-9;
      best = Math.max(best, 2.0 * size * size * size / seconds);
    }
    return best;
  }
}
