package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;

/** What happens to a float32 tile of a product while it is in the cache. */
public final class TileResult {
  private TileResult() {}

  /**
   * Rounds a tile to where it belongs, plus what is to be added.
   *
   * @param tile float32 {@code [rows, stride]}, of which {@code columns} count
   * @param addend of the shape of {@code target}, or null
   * @param target written from {@code row} and {@code column} on
   */
  public static void round(
      MemorySegment tile,
      int stride,
      int rows,
      int columns,
      Matrix addend,
      Matrix target,
      long row,
      int column) {
    for (int i = 0; i < rows; i++) {
      long at = (row + i) * target.columns() + column;
      long from = (long) i * stride;
      if (addend == null) {
        store(tile, from, columns, target.memory(), at);
      } else {
        add(tile, from, columns, addend.memory(), target.memory(), at);
      }
    }
  }

  private static void store(
      MemorySegment tile, long from, int columns, MemorySegment target, long at) {
    for (int n = 0; n < columns; n += Lanes.COUNT) {
      Lanes.storeBfloat16(Lanes.load(tile, from + n), target, at + n);
    }
  }

  private static void add(
      MemorySegment tile,
      long from,
      int columns,
      MemorySegment addend,
      MemorySegment target,
      long at) {
    for (int n = 0; n < columns; n += Lanes.COUNT) {
      Lanes.storeBfloat16(
          Lanes.load(tile, from + n).add(Lanes.loadBfloat16(addend, at + n)), target, at + n);
    }
  }
}
