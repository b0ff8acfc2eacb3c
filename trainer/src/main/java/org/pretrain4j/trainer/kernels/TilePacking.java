package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Arranges bfloat16 factors as tile instructions read them, whose unit is a pair of neighbours
 * along the inner axis: 32 bits. All offsets and sizes are multiples of 16, inner ones of 32. For
 * one thread at a time, as its transposes go through memory that is kept.
 */
public final class TilePacking {
  private static final VectorSpecies<Integer> INTS = Lanes.INTS;
  private static final int COUNT = Lanes.COUNT;
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  /** Columns that are read of a row at a time: whole lines of the cache, two of them neighbours. */
  private static final int PIECE = 64;

  /** A column of a square of lanes. */
  private static final int[] COLUMN = new int[COUNT];

  static {
    for (int i = 0; i < COUNT; i++) {
      COLUMN[i] = i * COUNT;
    }
  }

  private final int[] square = new int[COUNT * COUNT];

  /**
   * Panels of a factor {@code [inner, columns]}: two rows at a time, their elements in turns. All
   * panels in one pass over the rows, as short pieces of rows that lie far apart are slow to read.
   *
   * @param matrix holds the factor
   * @param row the factor's first
   * @param inner rows of the factor
   * @param column the first panel's first
   * @param columns of all panels together; only the last panel may be narrower than the width
   * @param panels {@code [panels][inner / 2, width]} pairs
   * @param width pairs from one row of a panel to the next
   * @param stride pairs from one panel to the next
   */
  public static void panels(
      Matrix matrix,
      long row,
      int inner,
      int column,
      int columns,
      MemorySegment panels,
      int width,
      long stride) {
    MemorySegment memory = matrix.memory();
    for (int pair = 0; pair < inner / 2; pair++) {
      long first = (row + 2L * pair) * matrix.columns() + column;
      long second = first + matrix.columns();
      long to = (long) pair * width;
      for (int n = 0; n < columns; n += width, to += stride) {
        interleave(memory, first + n, second + n, Math.min(width, columns - n), panels, to);
      }
    }
  }

  /**
   * One panel of a factor whose transpose is in memory: its columns are rows there.
   *
   * @param row the panel's first column
   * @param columns of the panel
   * @param column the factor's first row
   * @param panel {@code [inner / 2, width]} pairs, of which {@code columns} are written
   */
  public void panelOfTranspose(
      Matrix matrix, long row, int columns, int column, int inner, MemorySegment panel, int width) {
    MemorySegment memory = matrix.memory();
    // A few rows from end to end: many at once are more streams than the hardware fetches ahead.
    for (int n = 0; n < columns; n += COUNT) {
      for (int pair = 0; pair < inner / 2; pair += COUNT) {
        long first = ((row + n) * matrix.columns() + column) / 2 + pair;
        load(memory, first, matrix.columns() / 2, square);
        storeTransposed(square, panel, (long) pair * width + n, width);
      }
    }
  }

  /**
   * The transpose of columns of a matrix, row-major.
   *
   * @param row the first
   * @param inner rows that are taken: columns of the result
   * @param column the first
   * @param columns that are taken: rows of the result
   * @param result {@code [columns, inner]}, written
   */
  public void transpose(
      Matrix matrix, long row, int inner, int column, int columns, MemorySegment result) {
    MemorySegment memory = matrix.memory();
    int pairs = inner / 2;
    for (int block = 0; block < columns; block += PIECE) {
      int end = Math.min(columns, block + PIECE);
      for (int pair = 0; pair < pairs; pair += COUNT) {
        long first = (row + 2L * pair) * matrix.columns() + column;
        for (int c = block; c < end; c += COUNT) {
          loadPairs(memory, first + c, matrix.columns(), square);
          storeTransposed(square, result, (long) c * pairs + pair, pairs);
        }
      }
    }
  }

  private static void interleave(
      MemorySegment memory, long even, long odd, int columns, MemorySegment to, long at) {
    for (int n = 0; n < columns; n += COUNT) {
      pairs(memory, even + n, odd + n).intoMemorySegment(to, (at + n) * Integer.BYTES, ORDER);
    }
  }

  private static IntVector pairs(MemorySegment memory, long even, long odd) {
    return Lanes.bits(memory, even)
        .or(Lanes.bits(memory, odd).lanewise(VectorOperators.LSHL, Short.SIZE));
  }

  private static void load(MemorySegment memory, long first, long stride, int[] square) {
    for (int i = 0; i < COUNT; i++) {
      IntVector.fromMemorySegment(INTS, memory, (first + i * stride) * Integer.BYTES, ORDER)
          .intoArray(square, i * COUNT);
    }
  }

  private static void loadPairs(MemorySegment memory, long first, long stride, int[] square) {
    for (int i = 0; i < COUNT; i++) {
      long even = first + 2 * i * stride;
      pairs(memory, even, even + stride).intoArray(square, i * COUNT);
    }
  }

  private static void storeTransposed(int[] square, MemorySegment to, long first, long stride) {
    for (int i = 0; i < COUNT; i++) {
      IntVector.fromArray(INTS, square, i, COLUMN, 0)
          .intoMemorySegment(to, (first + i * stride) * Integer.BYTES, ORDER);
    }
  }
}
