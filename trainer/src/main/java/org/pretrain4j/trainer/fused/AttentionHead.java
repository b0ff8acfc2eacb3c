package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.SoftmaxColumns;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;

/**
 * Causal attention of one head over one document on one thread, on tiles of keys by queries that
 * stay in the cache (Dao et al., 2022).
 */
final class AttentionHead {
  static final int QUERIES = SoftmaxColumns.QUERIES;
  static final int KEYS = 256;
  private static final int PANEL = TileGemm.PANEL;

  private final TileGemm gemm;
  private final int headDim;
  private final float scale;
  private final SoftmaxColumns softmax;
  private final HeadRows query;
  private final HeadRows key;
  private final HeadRows value;
  private final MemorySegment queryPanels;
  private final MemorySegment valueTransposed;
  private final MemorySegment scores;
  private final MemorySegment probabilityPanels;
  private final MemorySegment sums;

  /**
   * @param sequenceLength longest document
   */
  AttentionHead(TileGemm gemm, NDManager manager, int headDim, float scale, int sequenceLength) {
    this.gemm = gemm;
    this.headDim = headDim;
    this.scale = scale;
    this.softmax = new SoftmaxColumns(headDim);
    this.query = new HeadRows(manager, QUERIES, headDim);
    this.key = new HeadRows(manager, KEYS, headDim);
    this.value = new HeadRows(manager, KEYS, headDim);
    int most = Math.ceilDiv(sequenceLength, KEYS) * KEYS;
    queryPanels = allocate(manager, ScalarType.BFLOAT16, QUERIES, headDim);
    valueTransposed = allocate(manager, ScalarType.BFLOAT16, most, headDim);
    scores = allocate(manager, ScalarType.FLOAT32, KEYS, QUERIES);
    probabilityPanels = allocate(manager, ScalarType.BFLOAT16, KEYS, QUERIES);
    sums = allocate(manager, ScalarType.FLOAT32, headDim, QUERIES);
  }

  private static MemorySegment allocate(
      NDManager manager, ScalarType type, long rows, long columns) {
    return Activation.allocate(manager, type, rows, columns).matrix().memory();
  }

  /** Whether heads of so many dimensions fit the tiles. */
  static boolean fits(int headDim) {
    return headDim % HeadRows.UNIT == 0;
  }

  /** Where the head is in matrices of rows of tokens: first columns of its parts. */
  record Columns(int query, int key, int value) {}

  /**
   * Computes it.
   *
   * @param start the document's first token
   * @param length its tokens
   * @param attended written at the columns of the query
   * @param logSumExp float32 {@code [length]}, written
   */
  void run(
      long start, int length, Columns at, Matrix qkv, Matrix attended, MemorySegment logSumExp) {
    query.take(qkv, start, length, at.query());
    key.take(qkv, start, length, at.key());
    value.take(qkv, start, length, at.value());
    for (int from = 0; from < length; from += KEYS) {
      value.transpose(from, tile(from));
    }
    for (int first = 0; first < length; first += QUERIES) {
      int end = Math.min(length, first + QUERIES);
      query.transposedPanels(first, queryPanels);
      softmax.begin();
      for (int from = 0; from < end; from += KEYS) {
        tile(first, from, Math.min(KEYS, end - from));
      }
      softmax.finish(sums, end - first, attended, start + first, at.query(), logSumExp, first);
    }
  }

  private MemorySegment tile(int from) {
    long bytes = (long) headDim * Short.BYTES;
    return valueTransposed.asSlice(from * bytes, KEYS * bytes);
  }

  private void tile(int first, int from, int count) {
    int padded = HeadRows.padded(count);
    for (int panel = 0; panel < QUERIES; panel += PANEL) {
      gemm.multiply(
          padded,
          PANEL,
          headDim,
          key.address(from),
          key.stride(from),
          queryPanels.address() + (long) panel * headDim * Short.BYTES,
          false,
          scores.address() + (long) panel * Float.BYTES,
          QUERIES);
    }
    softmax.run(count, padded, KEYS, from - first, scale, scores, probabilityPanels);
    if (from > 0) {
      softmax.rescale(sums);
    }
    for (int panel = 0; panel < QUERIES; panel += PANEL) {
      gemm.multiply(
          headDim,
          PANEL,
          padded,
          tile(from).address(),
          value.rows(from),
          probabilityPanels.address() + (long) panel * KEYS * Short.BYTES,
          from > 0,
          sums.address() + (long) panel * Float.BYTES,
          QUERIES);
    }
  }
}
