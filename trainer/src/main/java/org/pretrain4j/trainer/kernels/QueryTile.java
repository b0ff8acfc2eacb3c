package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Tiles of keys by queries, {@code [keys, QUERIES]} float32, worked on in arrays of some rows. With
 * queries as columns neither a sum over keys nor a product after it needs a transpose.
 */
final class QueryTile {
  /** Queries of a tile, seen or not. */
  static final int QUERIES = 128;

  /** Rows that are in work at a time: two arrays of them stay in the first cache. */
  static final int ROWS = 16;

  /** Columns of a panel of pairs. */
  private static final int PANEL = 64;

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private QueryTile() {}

  /** Rows from {@code key} on. */
  static void read(MemorySegment tile, int key, float[] rows) {
    long offset = (long) key * QUERIES * Float.BYTES;
    MemorySegment.copy(tile, ValueLayout.JAVA_FLOAT, offset, rows, 0, ROWS * QUERIES);
  }

  /**
   * Sets what queries must not see.
   *
   * @param key of the tile, the first of the rows
   * @param keys of the tile that count
   * @param firstSeen the first query that sees the tile's first key; the next key is seen from the
   *     next query on. Negative if all see it
   */
  static void hide(float[] rows, int key, int keys, int firstSeen, float value) {
    for (int i = 0; i < ROWS; i++) {
      int hidden = key + i < keys ? Math.clamp(firstSeen + key + (long) i, 0, QUERIES) : QUERIES;
      if (hidden > 0) {
        Arrays.fill(rows, i * QUERIES, i * QUERIES + hidden, value);
      }
    }
  }

  /** To a bfloat16 tile of the same shape. */
  static void write(float[] rows, MemorySegment tile, int key) {
    long start = (long) key * QUERIES;
    for (int i = 0; i < ROWS * QUERIES; i += Lanes.COUNT) {
      Lanes.storeBfloat16(Lanes.load(rows, i), tile, start + i);
    }
  }

  /**
   * To panels as tile instructions read a second factor: in bfloat16, two rows at a time, their
   * elements in turns.
   *
   * @param panels {@code [QUERIES / 64, most keys / 2, 64, 2]}
   * @param mostKeys of a tile, even
   */
  static void writePairs(float[] rows, MemorySegment panels, int key, int mostKeys) {
    for (int panel = 0; panel < QUERIES; panel += PANEL) {
      long to = ((long) panel / PANEL * mostKeys + key) / 2 * PANEL;
      for (int i = panel; i < ROWS * QUERIES; i += 2 * QUERIES, to += PANEL) {
        pairs(rows, i, panels, to);
      }
    }
  }

  private static void pairs(float[] rows, int from, MemorySegment panels, long to) {
    for (int i = 0; i < PANEL; i += Lanes.COUNT) {
      Lanes.pairOfBfloat16(Lanes.load(rows, from + i), Lanes.load(rows, from + QUERIES + i))
          .intoMemorySegment(panels, (to + i) * Integer.BYTES, ORDER);
    }
  }
}
