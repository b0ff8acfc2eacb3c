package org.pretrain4j.trainer.fused;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.trainer.fused.TileProduct.Factor;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;

/** Against products in float64 of the same bfloat16 values, at elements drawn by chance. */
final class TileProductTest {
  private static final long SEED = 23;
  private static final int CHECKED = 4000;

  /** Factors lie within wider matrices; sizes are around those of blocks and panels. */
  @ParameterizedTest
  @CsvSource({
    "1, 16, 32, false, false",
    "130, 80, 96, false, true",
    "37, 1040, 64, false, true",
    "259, 1296, 2080, false, true",
    "259, 1296, 4128, false, false",
    "130, 576, 2112, false, false",
    "64, 96, 4160, false, true",
    "144, 80, 96, true, false",
    "272, 1296, 160, true, false",
    "1536, 1104, 2176, true, false",
    "160, 48, 2240, true, false"
  })
  void productsAgreeWithFloat64(
      int rows, int columns, int inner, boolean leftTransposed, boolean rightTransposed) {
    System.out.println("seed " + SEED);
    Optional<TileGemm> gemm = TileGemm.find();
    assumeTrue(gemm.isPresent(), "this libtorch or processor has no such kernel");
    assertTrue(TileProduct.fits(rows, columns, inner, leftTransposed));
    Random random = new Random(SEED);
    try (NDManager manager = NDManager.newBaseManager("PyTorch");
        WorkerPool pool = new WorkerPool(2)) {
      TileProduct product = new TileProduct(gemm.get(), manager, pool);
      Factor left = factor(manager, random, rows, inner, leftTransposed);
      Factor right = factor(manager, random, inner, columns, rightTransposed);
      Matrix addend = matrix(manager, random, rows, columns);
      Matrix rounded = Activation.allocate(manager, ScalarType.BFLOAT16, rows, columns).matrix();
      product.multiply(rows, columns, inner, left, right, new TileProduct.Rounded(rounded, addend));
      MemorySegment sum =
          Activation.allocate(manager, ScalarType.FLOAT32, rows, columns).matrix().memory();
      product.multiply(rows, columns, inner, left, right, new TileProduct.Sum(sum, columns, false));
      Matrix plain = Activation.allocate(manager, ScalarType.BFLOAT16, rows, columns).matrix();
      product.multiply(rows, columns, inner, left, right, new TileProduct.Rounded(plain, null));
      for (int i = 0; i < CHECKED; i++) {
        int row = random.nextInt(rows);
        int column = random.nextInt(columns);
        long at = (long) row * columns + column;
        double expected = 0;
        for (int k = 0; k < inner; k++) {
          expected += at(left, row, k) * at(right, k, column);
        }
        double bound = 1e-5 * inner;
        assertEquals(expected, sum.getAtIndex(ValueLayout.JAVA_FLOAT, at), bound);
        assertEquals(expected, value(plain, at), bound + Math.abs(expected) / 256);
        double more = expected + value(addend, at);
        assertEquals(more, value(rounded, at), bound + Math.abs(more) / 256);
      }
      float before = sum.getAtIndex(ValueLayout.JAVA_FLOAT, 3);
      product.multiply(rows, columns, inner, left, right, new TileProduct.Sum(sum, columns, true));
      assertEquals(2 * before, sum.getAtIndex(ValueLayout.JAVA_FLOAT, 3), 1e-3);
    }
  }

  private static Factor factor(
      NDManager manager, Random random, int rows, int columns, boolean transposed) {
    int margin = 32;
    Matrix matrix =
        transposed
            ? matrix(manager, random, columns, rows + margin)
            : matrix(manager, random, rows, columns + margin);
    return new Factor(matrix, margin, transposed);
  }

  private static double at(Factor factor, int row, int column) {
    Matrix matrix = factor.matrix();
    long index =
        factor.transposed()
            ? (long) column * matrix.columns() + factor.column() + row
            : (long) row * matrix.columns() + factor.column() + column;
    return value(matrix, index);
  }

  private static double value(Matrix matrix, long index) {
    return Float.intBitsToFloat(matrix.memory().getAtIndex(ValueLayout.JAVA_SHORT, index) << 16);
  }

  private static Matrix matrix(NDManager manager, Random random, int rows, int columns) {
    Matrix matrix = Activation.allocate(manager, ScalarType.BFLOAT16, rows, columns).matrix();
    for (long i = 0; i < (long) rows * columns; i++) {
      int bits = Float.floatToRawIntBits(random.nextFloat() - 0.5f);
      matrix.memory().setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
    }
    return matrix;
  }
}
