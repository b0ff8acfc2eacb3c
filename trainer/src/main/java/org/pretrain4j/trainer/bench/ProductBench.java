package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.util.List;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.device.Cores;
import org.pretrain4j.trainer.fused.ProductRates;
import org.pretrain4j.trainer.fused.ProductRates.Rate;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.machine.GemmPeak;

/**
 * Measures each matrix product of a shape alone, beside the GEMM peak and the rate of memory.
 *
 * @param shape whose products
 * @param repetitions of which the fastest counts
 */
public record ProductBench(Shape shape, int repetitions) {
  private static final int GEMM_SIZE = 2048;
  private static final long COPIED_ELEMENTS = 64L << 20;
  private static final long CHUNK = 1L << 20;
  private static final long HEAD_ROWS = 1024;

  /**
   * What was measured.
   *
   * @param gemmPeakFlops operations a second of the best square product, before or after the others
   * @param memoryBytesPerSecond of a copy by all threads, reading and writing
   * @param rates of each product
   */
  public record Report(double gemmPeakFlops, double memoryBytesPerSecond, List<Rate> rates) {}

  /** Measures. */
  public Report run() {
    try (ComputeDevice host = ComputeDevice.host(Cores.available());
        NDManager manager = NDManager.newBaseManager("PyTorch")) {
      WorkerPool pool = host.pool();
      GemmPeak gemm = new GemmPeak(manager, host, ScalarType.BFLOAT16, GEMM_SIZE);
      gemm.measure(repetitions);
      double before = gemm.measure(repetitions);
      List<Rate> rates =
          new ProductRates(manager, shape.model(), pool)
              .measure(shape.tokens(), Math.min(HEAD_ROWS, shape.tokens()), repetitions);
      double peak = Math.max(before, gemm.measure(repetitions));
      return new Report(peak, memory(manager, pool), rates);
    }
  }

  private double memory(NDManager manager, WorkerPool pool) {
    Tensor from = Tensor.zeros(manager, ScalarType.FLOAT32, COPIED_ELEMENTS);
    Tensor to = Tensor.zeros(manager, ScalarType.FLOAT32, COPIED_ELEMENTS);
    double best = Double.POSITIVE_INFINITY;
    for (int i = 0; i < repetitions; i++) {
      long start = System.nanoTime();
      pool.run(
          COPIED_ELEMENTS,
          CHUNK,
          (first, end) -> {
            long bytes = (end - first) * Float.BYTES;
            to.segment()
                .asSlice(first * Float.BYTES, bytes)
                .copyFrom(from.segment().asSlice(first * Float.BYTES, bytes));
          });
      best = Math.min(best, (System.nanoTime() - start) * 1e-9);
    }
    return 2.0 * COPIED_ELEMENTS * Float.BYTES / best;
  }
}
