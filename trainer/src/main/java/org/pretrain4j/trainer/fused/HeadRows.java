package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.TilePacking;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;

/**
 * A head's columns of a document's bfloat16 rows, in blocks of a fixed number of rows: read where
 * they are, but for the last block if it is shorter, which is copied with zeros behind it. So
 * products are of few different sizes, and none reads what belongs to others.
 */
final class HeadRows {
  /** Inner axes of products are multiples of it. */
  static final int UNIT = 32;

  private static final int PANEL = TileGemm.PANEL;

  private final int block;
  private final int headDim;
  private final Matrix rest;
  private final TilePacking packing = new TilePacking();
  private Matrix matrix;
  private long start;
  private int column;
  private int length;

  HeadRows(NDManager manager, int block, int headDim) {
    this.block = block;
    this.headDim = headDim;
    this.rest = Activation.allocate(manager, ScalarType.BFLOAT16, block, headDim).matrix();
  }

  /** The multiple of {@link #UNIT} that is not below. */
  static int padded(int rows) {
    return Math.ceilDiv(rows, UNIT) * UNIT;
  }

  /** Takes rows {@code [start, start + length)} of a matrix, and as many columns as a head has. */
  void take(Matrix from, long firstRow, int rows, int firstColumn) {
    matrix = from;
    start = firstRow;
    length = rows;
    column = firstColumn;
    int whole = length / block * block;
    if (whole == length) {
      return;
    }
    long bytes = (long) headDim * Short.BYTES;
    for (int i = whole; i < length; i++) {
      long offset = ((start + i) * matrix.columns() + column) * Short.BYTES;
      MemorySegment.copy(matrix.memory(), offset, rest.memory(), (i - whole) * bytes, bytes);
    }
    int used = length - whole;
    rest.memory().asSlice(used * bytes, (block - used) * bytes).fill((byte) 0);
  }

  /** Whether the block that begins there is the last and shorter than the others. */
  boolean isRest(int first) {
    return first + block > length;
  }

  /** Address of the block's first element. */
  long address(int first) {
    if (isRest(first)) {
      return rest.memory().address();
    }
    return matrix.memory().address() + ((start + first) * matrix.columns() + column) * Short.BYTES;
  }

  /** Elements from one of the block's rows to the next. */
  int stride(int first) {
    return isRest(first) ? headDim : matrix.columns();
  }

  /** Rows of the block, up to a whole number of units. */
  int rows(int first) {
    return isRest(first) ? padded(length - first) : block;
  }

  /** {@code [headDim, rows(first)]}. */
  void transpose(int first, MemorySegment result) {
    if (isRest(first)) {
      packing.transpose(rest, 0, rows(first), 0, headDim, result);
    } else {
      packing.transpose(matrix, start + first, block, column, headDim, result);
    }
  }

  /** The transpose as a second factor: a panel for each {@code PANEL} rows of the block. */
  void transposedPanels(int first, MemorySegment panels) {
    for (int row = 0; row < block; row += PANEL) {
      MemorySegment panel = slice(panels, row * headDim, PANEL * headDim);
      if (isRest(first)) {
        packing.panelOfTranspose(rest, row, PANEL, 0, headDim, panel, PANEL);
      } else {
        packing.panelOfTranspose(matrix, start + first + row, PANEL, column, headDim, panel, PANEL);
      }
    }
  }

  /** The block as a second factor: a panel for each {@code PANEL} columns of the head. */
  void panels(int first, MemorySegment panels) {
    long stride = (long) block / 2 * PANEL;
    if (isRest(first)) {
      TilePacking.panels(rest, 0, block, 0, headDim, panels, PANEL, stride);
    } else {
      TilePacking.panels(matrix, start + first, block, column, headDim, panels, PANEL, stride);
    }
  }

  private static MemorySegment slice(MemorySegment memory, long element, long elements) {
    return memory.asSlice(element * Short.BYTES, elements * Short.BYTES);
  }
}
