package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.TileGemm;

/**
 * Products of bfloat16 matrices, cut so that what {@link TileGemm} reads stays in a core's second
 * cache (Goto and van de Geijn, 2008): panels of the second factor are arranged once and used for
 * all rows, results leave the cache rounded, with the residual stream added where there is one.
 * Which thread computes what changes no bit.
 */
final class TileProduct {
  /** Most of the inner axis at a time. */
  private static final int INNER = 2048;

  /** Of fewer columns than these, all panels are arranged before, and threads share the rows. */
  private static final int FEW_COLUMNS = 1024;

  private static final int INNER_UNIT = 32;
  private static final int UNIT = 16;

  private final TileWorkers workers;

  TileProduct(TileGemm gemm, NDManager manager, WorkerPool pool) {
    workers = new TileWorkers(gemm, manager, pool);
  }

  /**
   * A factor.
   *
   * @param matrix holds it
   * @param column of the matrix where it begins
   * @param transposed whether the factor is the transpose of what is in the matrix
   */
  record Factor(Matrix matrix, int column, boolean transposed) {
    long address(long row, long inner) {
      long element = row * matrix.columns() + column + inner;
      return matrix.memory().address() + element * Short.BYTES;
    }
  }

  /** Where a product goes. */
  sealed interface Result {}

  /**
   * To float32 memory.
   *
   * @param stride elements from one row to the next
   * @param add to what is there
   */
  record Sum(MemorySegment memory, int stride, boolean add) implements Result {}

  /**
   * To bfloat16, rounded once.
   *
   * @param addend added before, or null
   */
  record Rounded(Matrix target, Matrix addend) implements Result {}

  /** Whether a product of such sizes can be computed here. */
  static boolean fits(int rows, int columns, int inner, boolean transposedLeft) {
    return inner % INNER_UNIT == 0
        && columns % UNIT == 0
        && (!transposedLeft || rows % UNIT == 0)
        && rows > 0;
  }

  /** {@code result = left right}, or plus what is there. */
  void multiply(int rows, int columns, int inner, Factor left, Factor right, Result result) {
    Shape shape = new Shape(rows, columns, inner);
    if (columns < FEW_COLUMNS || left.transposed() && rows >= columns) {
      new ProductByRows(workers, shape, left, right, result).run();
    } else {
      new ProductByPanels(workers, shape, left, right, result).run();
    }
  }

  /**
   * Sizes.
   *
   * @param rows of the result and the first factor
   * @param columns of the result and the second factor
   * @param inner the axis that is summed over
   */
  record Shape(int rows, int columns, int inner) {
    /** Inner blocks of one size, but for the last. */
    int depth() {
      int even = Math.ceilDiv(inner, Math.ceilDiv(inner, INNER));
      return Math.ceilDiv(even, INNER_UNIT) * INNER_UNIT;
    }

    boolean whole() {
      return inner <= INNER;
    }
  }
}
