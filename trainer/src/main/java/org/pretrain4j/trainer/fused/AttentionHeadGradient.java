package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.pretrain4j.trainer.kernels.AttentionColumns;
import org.pretrain4j.trainer.kernels.AttentionTile;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.TilePacking;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;

/**
 * The gradient of one head on one thread, on tiles of keys by queries: what follows from a tile
 * needs it as it is, or in pairs of rows. Queries, keys, values and the output's gradient are
 * copied to the head's own memory first, up to a whole number of tiles' units, with zeros behind
 * the document.
 */
final class AttentionHeadGradient {
  private static final int QUERIES = AttentionColumns.QUERIES;
  private static final int KEYS = 256;
  private static final int UNIT = 32;
  private static final int PANEL = TileGemm.PANEL;

  private final TileGemm gemm;
  private final NDManager manager;
  private final int headDim;
  private final float scale;
  private final AttentionColumns columns = new AttentionColumns();
  private final AttentionTile rows;
  private final MemorySegment scores;
  private final MemorySegment gradient;
  private final Matrix probabilities;
  private final Matrix scoreGradient;
  private final MemorySegment scoreGradientPanels;
  private final MemorySegment queryPanels;
  private final MemorySegment outputPanels;
  private final MemorySegment queryTransposed;
  private final MemorySegment outputTransposed;
  private final MemorySegment querySum;
  private final Matrix query;
  private final Matrix key;
  private final Matrix value;
  private final Matrix output;
  private final MemorySegment keyTransposed;
  private int stride;

  /**
   * @param sequenceLength longest document
   */
  AttentionHeadGradient(
      TileGemm gemm, NDManager manager, int headDim, float scale, int sequenceLength) {
    this.gemm = gemm;
    this.manager = manager;
    this.headDim = headDim;
    this.scale = scale;
    this.rows = new AttentionTile(headDim);
    scores = allocate(ScalarType.FLOAT32, KEYS, QUERIES).memory();
    gradient = allocate(ScalarType.FLOAT32, KEYS, QUERIES).memory();
    probabilities = allocate(ScalarType.BFLOAT16, KEYS, QUERIES);
    scoreGradient = allocate(ScalarType.BFLOAT16, KEYS, QUERIES);
    scoreGradientPanels = allocate(ScalarType.BFLOAT16, KEYS, QUERIES).memory();
    int panels = Math.ceilDiv(headDim, PANEL) * PANEL;
    queryPanels = allocate(ScalarType.BFLOAT16, QUERIES, panels).memory();
    outputPanels = allocate(ScalarType.BFLOAT16, QUERIES, panels).memory();
    queryTransposed = allocate(ScalarType.BFLOAT16, headDim, QUERIES).memory();
    outputTransposed = allocate(ScalarType.BFLOAT16, headDim, QUERIES).memory();
    querySum = allocate(ScalarType.FLOAT32, headDim, QUERIES).memory();
    int most = Math.ceilDiv(sequenceLength, QUERIES) * QUERIES;
    query = allocate(ScalarType.BFLOAT16, most, headDim);
    key = allocate(ScalarType.BFLOAT16, most, headDim);
    value = allocate(ScalarType.BFLOAT16, most, headDim);
    output = allocate(ScalarType.BFLOAT16, most, headDim);
    keyTransposed = allocate(ScalarType.BFLOAT16, headDim, most).memory();
  }

  /** Whether heads of so many dimensions fit the tiles. */
  static boolean fits(int headDim) {
    return headDim % UNIT == 0;
  }

  private Matrix allocate(ScalarType type, long rows, long columns) {
    return Activation.allocate(manager, type, rows, columns).matrix();
  }

  /** Where the head is in matrices of rows of tokens: first columns of its parts. */
  record Columns(int query, int key, int value) {}

  /**
   * Computes it.
   *
   * @param start the document's first token
   * @param length its tokens
   * @param logSumExp float32 {@code [length]}
   * @param attended what forward gave, at the columns of the query
   * @param attendedGradient its gradient
   * @param queries float32 {@code [length, headDim]}, written
   * @param keys added to
   * @param values added to
   */
  void run(
      long start,
      int length,
      Columns at,
      MemorySegment logSumExp,
      Matrix qkv,
      Matrix attended,
      Matrix attendedGradient,
      MemorySegment queries,
      MemorySegment keys,
      MemorySegment values) {
    prepare(start, length, at, qkv, attendedGradient);
    for (int first = 0; first < length; first += QUERIES) {
      int count = Math.min(QUERIES, length - first);
      for (int i = 0; i < count; i++) {
        long row = start + first + i;
        float product = rows.product(attended, row, at.query(), attendedGradient, row, headDim);
        columns.query(i, logSumExp.getAtIndex(ValueLayout.JAVA_FLOAT, (long) first + i), product);
      }
      columns.noQueriesFrom(count);
      block(first, count, length, keys, values);
      for (int i = 0; i < headDim; i++) {
        for (int j = 0; j < count; j++) {
          float sum = querySum.getAtIndex(ValueLayout.JAVA_FLOAT, (long) i * QUERIES + j);
          queries.setAtIndex(ValueLayout.JAVA_FLOAT, (first + (long) j) * headDim + i, sum);
        }
      }
    }
  }

  private void prepare(long start, int length, Columns at, Matrix qkv, Matrix attendedGradient) {
    // A block of queries reads up to its end, a block of keys up to a unit.
    int padded = Math.ceilDiv(length, QUERIES) * QUERIES;
    stride = padded;
    copy(qkv, start, at.query(), length, padded, query);
    copy(qkv, start, at.key(), length, padded, key);
    copy(qkv, start, at.value(), length, padded, value);
    copy(attendedGradient, start, at.query(), length, padded, output);
    TilePacking.transpose(key, 0, padded, 0, headDim, keyTransposed);
  }

  private void copy(Matrix from, long start, int column, int length, int padded, Matrix to) {
    long bytes = (long) headDim * Short.BYTES;
    for (int i = 0; i < length; i++) {
      long offset = ((start + i) * from.columns() + column) * Short.BYTES;
      MemorySegment.copy(from.memory(), offset, to.memory(), i * bytes, bytes);
    }
    to.memory().asSlice(length * bytes, (padded - length) * bytes).fill((byte) 0);
  }

  private void block(int first, int count, int length, MemorySegment keys, MemorySegment values) {
    int inner = Math.ceilDiv(count, UNIT) * UNIT;
    for (int panel = 0; panel < QUERIES; panel += PANEL) {
      MemorySegment q = slice(queryTransposed, panel * headDim, PANEL * headDim);
      MemorySegment o = slice(outputTransposed, panel * headDim, PANEL * headDim);
      TilePacking.panelOfTranspose(query, first + (long) panel, PANEL, 0, headDim, q, PANEL);
      TilePacking.panelOfTranspose(output, first + (long) panel, PANEL, 0, headDim, o, PANEL);
    }
    for (int panel = 0; panel < headDim; panel += PANEL) {
      int width = Math.min(PANEL, headDim - panel);
      MemorySegment q = slice(queryPanels, panel * QUERIES, PANEL * QUERIES);
      MemorySegment o = slice(outputPanels, panel * QUERIES, PANEL * QUERIES);
      TilePacking.panel(query, first, inner, panel, width, q, PANEL);
      TilePacking.panel(output, first, inner, panel, width, o, PANEL);
    }
    int end = first + count;
    for (int from = 0; from < end; from += KEYS) {
      tile(first, inner, from, Math.min(KEYS, end - from), keys, values);
    }
  }

  private void tile(
      int first, int inner, int from, int count, MemorySegment keys, MemorySegment values) {
    int padded = Math.ceilDiv(count, UNIT) * UNIT;
    long k = key.memory().address() + (long) from * headDim * Short.BYTES;
    long v = value.memory().address() + (long) from * headDim * Short.BYTES;
    for (int panel = 0; panel < QUERIES; panel += PANEL) {
      long at = (long) panel * headDim * Short.BYTES;
      long c = (long) panel * Float.BYTES;
      long q = queryTransposed.address() + at;
      long o = outputTransposed.address() + at;
      gemm.multiply(padded, PANEL, headDim, k, headDim, q, false, scores.address() + c, QUERIES);
      gemm.multiply(padded, PANEL, headDim, v, headDim, o, false, gradient.address() + c, QUERIES);
    }
    columns.run(
        count,
        padded,
        from - first,
        scale,
        scores,
        gradient,
        probabilities.memory(),
        scoreGradient.memory());
    long p = probabilities.memory().address();
    long ds = scoreGradient.memory().address();
    long sum = (long) from * headDim * Float.BYTES;
    for (int panel = 0; panel < headDim; panel += PANEL) {
      int width = Math.min(PANEL, headDim - panel);
      long at = (long) panel * QUERIES * Short.BYTES;
      long c = sum + (long) panel * Float.BYTES;
      long q = queryPanels.address() + at;
      long o = outputPanels.address() + at;
      gemm.multiply(count, width, inner, p, QUERIES, o, true, values.address() + c, headDim);
      gemm.multiply(count, width, inner, ds, QUERIES, q, true, keys.address() + c, headDim);
    }
    long kT = keyTransposed.address() + (long) from * Short.BYTES;
    for (int panel = 0; panel < QUERIES; panel += PANEL) {
      MemorySegment pairs = slice(scoreGradientPanels, panel * KEYS, PANEL * KEYS);
      TilePacking.panel(scoreGradient, 0, padded, panel, PANEL, pairs, PANEL);
      gemm.multiply(
          headDim,
          PANEL,
          padded,
          kT,
          stride,
          pairs.address(),
          from > 0,
          querySum.address() + (long) panel * Float.BYTES,
          QUERIES);
    }
  }

  private static MemorySegment slice(MemorySegment memory, long element, long elements) {
    return memory.asSlice(element * Short.BYTES, elements * Short.BYTES);
  }
}
