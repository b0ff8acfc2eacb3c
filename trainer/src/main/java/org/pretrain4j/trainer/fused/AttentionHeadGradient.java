package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.pretrain4j.trainer.kernels.AttentionColumns;
import org.pretrain4j.trainer.kernels.AttentionTile;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.SoftmaxColumns;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;

/**
 * The gradient of {@link AttentionHead}, on the same tiles of keys by queries: what follows from a
 * tile needs it as it is, or in pairs of rows.
 */
final class AttentionHeadGradient {
  private static final int QUERIES = AttentionHead.QUERIES;
  private static final int KEYS = AttentionHead.KEYS;
  private static final int PANEL = TileGemm.PANEL;

  private final TileGemm gemm;
  private final int headDim;
  private final float scale;
  private final AttentionColumns columns = new AttentionColumns();
  private final AttentionTile rows;
  private final SoftmaxColumns turning;
  private final AttentionColumns.Tile tile;
  private final HeadRows query;
  private final HeadRows output;
  private final HeadRows key;
  private final HeadRows value;
  private final MemorySegment queryPanels;
  private final MemorySegment outputPanels;
  private final MemorySegment queryTransposed;
  private final MemorySegment outputTransposed;
  private final MemorySegment keyTransposed;
  private final MemorySegment querySum;
  private final MemorySegment keyRest;
  private final MemorySegment valueRest;

  /**
   * @param sequenceLength longest document
   */
  AttentionHeadGradient(
      TileGemm gemm, NDManager manager, int headDim, float scale, int sequenceLength) {
    this.gemm = gemm;
    this.headDim = headDim;
    this.scale = scale;
    this.rows = new AttentionTile(headDim);
    this.turning = new SoftmaxColumns(headDim);
    this.tile =
        new AttentionColumns.Tile(
            allocate(manager, ScalarType.FLOAT32, KEYS, QUERIES),
            allocate(manager, ScalarType.FLOAT32, KEYS, QUERIES),
            allocate(manager, ScalarType.BFLOAT16, KEYS, QUERIES),
            allocate(manager, ScalarType.BFLOAT16, KEYS, QUERIES),
            allocate(manager, ScalarType.BFLOAT16, KEYS, QUERIES));
    this.query = new HeadRows(manager, QUERIES, headDim);
    this.output = new HeadRows(manager, QUERIES, headDim);
    this.key = new HeadRows(manager, KEYS, headDim);
    this.value = new HeadRows(manager, KEYS, headDim);
    int panels = Math.ceilDiv(headDim, PANEL) * PANEL;
    queryPanels = allocate(manager, ScalarType.BFLOAT16, QUERIES, panels);
    outputPanels = allocate(manager, ScalarType.BFLOAT16, QUERIES, panels);
    queryTransposed = allocate(manager, ScalarType.BFLOAT16, headDim, QUERIES);
    outputTransposed = allocate(manager, ScalarType.BFLOAT16, headDim, QUERIES);
    int most = Math.ceilDiv(sequenceLength, KEYS) * KEYS;
    keyTransposed = allocate(manager, ScalarType.BFLOAT16, most, headDim);
    querySum = allocate(manager, ScalarType.FLOAT32, headDim, QUERIES);
    keyRest = allocate(manager, ScalarType.FLOAT32, KEYS, headDim);
    valueRest = allocate(manager, ScalarType.FLOAT32, KEYS, headDim);
  }

  private static MemorySegment allocate(
      NDManager manager, ScalarType type, long rows, long columns) {
    return Activation.allocate(manager, type, rows, columns).matrix().memory();
  }

  /**
   * The gradient's target.
   *
   * @param query rows of tokens, written at the columns of the query
   * @param key float32 {@code [length, headDim]}, written
   * @param value the same
   */
  record Target(Matrix query, MemorySegment key, MemorySegment value) {}

  /**
   * Computes it.
   *
   * @param head of the document's logarithms
   * @param at the head's columns
   * @param attended what forward gave, at the columns of the query
   * @param attendedGradient its gradient
   */
  void run(
      TiledAttention.Document document,
      int head,
      AttentionHead.Columns at,
      Matrix qkv,
      Matrix attended,
      Matrix attendedGradient,
      Target target) {
    long start = document.start();
    int length = document.length();
    MemorySegment logSumExp = document.logSumExp(head);
    query.take(qkv, start, length, at.query());
    output.take(attendedGradient, start, length, at.query());
    key.take(qkv, start, length, at.key());
    value.take(qkv, start, length, at.value());
    target.key().fill((byte) 0);
    target.value().fill((byte) 0);
    keyRest.fill((byte) 0);
    valueRest.fill((byte) 0);
    for (int from = 0; from < length; from += KEYS) {
      key.transpose(from, transposedKeys(from));
    }
    for (int first = 0; first < length; first += QUERIES) {
      int count = Math.min(QUERIES, length - first);
      for (int i = 0; i < count; i++) {
        long row = start + first + i;
        float product = rows.product(attended, row, at.query(), attendedGradient, row, headDim);
        columns.query(i, logSumExp.getAtIndex(ValueLayout.JAVA_FLOAT, (long) first + i), product);
      }
      columns.noQueriesFrom(count);
      query.transposedPanels(first, queryTransposed);
      output.transposedPanels(first, outputTransposed);
      query.panels(first, queryPanels);
      output.panels(first, outputPanels);
      for (int from = 0; from < first + count; from += KEYS) {
        tile(first, count, from, Math.min(KEYS, first + count - from), target);
      }
      turning.turn(querySum, count, target.query(), start + first, at.query());
    }
    int whole = length / KEYS * KEYS;
    long bytes = (long) headDim * Float.BYTES;
    MemorySegment.copy(keyRest, 0, target.key(), whole * bytes, (length - whole) * bytes);
    MemorySegment.copy(valueRest, 0, target.value(), whole * bytes, (length - whole) * bytes);
  }

  private MemorySegment transposedKeys(int from) {
    long bytes = (long) headDim * Short.BYTES;
    return keyTransposed.asSlice(from * bytes, KEYS * bytes);
  }

  private void tile(int first, int queries, int from, int count, Target target) {
    int padded = HeadRows.padded(count);
    for (int panel = 0; panel < QUERIES; panel += PANEL) {
      long at = (long) panel * headDim * Short.BYTES;
      long c = (long) panel * Float.BYTES;
      score(key, from, padded, queryTransposed.address() + at, tile.scores().address() + c);
      score(value, from, padded, outputTransposed.address() + at, tile.gradient().address() + c);
    }
    columns.run(count, padded, KEYS, from - first, scale, tile);
    boolean rest = key.isRest(from);
    long offset = (long) from * headDim * Float.BYTES;
    long keys = rest ? keyRest.address() : target.key().address() + offset;
    long values = rest ? valueRest.address() : target.value().address() + offset;
    int inner = HeadRows.padded(queries);
    sumOfQueries(tile.probabilities(), padded, inner, outputPanels, values);
    sumOfQueries(tile.scoreGradient(), padded, inner, queryPanels, keys);
    for (int panel = 0; panel < QUERIES; panel += PANEL) {
      gemm.multiply(
          headDim,
          PANEL,
          padded,
          transposedKeys(from).address(),
          key.rows(from),
          tile.scoreGradientPanels().address() + (long) panel * KEYS * Short.BYTES,
          from > 0,
          querySum.address() + (long) panel * Float.BYTES,
          QUERIES);
    }
  }

  private void score(HeadRows rows, int from, int count, long panel, long result) {
    gemm.multiply(
        count,
        PANEL,
        headDim,
        rows.address(from),
        rows.stride(from),
        panel,
        false,
        result,
        QUERIES);
  }

  private void sumOfQueries(
      MemorySegment factor, int keys, int queries, MemorySegment panels, long sum) {
    for (int panel = 0; panel < headDim; panel += PANEL) {
      gemm.multiply(
          keys,
          Math.min(PANEL, headDim - panel),
          queries,
          factor.address(),
          QUERIES,
          panels.address() + (long) panel * QUERIES * Short.BYTES,
          true,
          sum + (long) panel * Float.BYTES,
          headDim);
    }
  }
}
