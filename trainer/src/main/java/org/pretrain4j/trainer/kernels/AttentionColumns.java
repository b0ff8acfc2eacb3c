package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * What {@link AttentionTile} does, on a transposed tile of keys by queries, so that no product
 * after it needs a transpose.
 */
public final class AttentionColumns {
  /** Queries of a tile, seen or not. */
  public static final int QUERIES = QueryTile.QUERIES;

  private final float[] logSumExp = new float[QUERIES];
  private final float[] mean = new float[QUERIES];
  private final float[] scores = new float[QueryTile.ROWS * QUERIES];
  private final float[] gradients = new float[QueryTile.ROWS * QUERIES];

  /**
   * Begins a block of queries; those without a sum give zeros.
   *
   * @param query index in the block
   * @param sum logarithm of the sum of the exponentials of its scaled scores
   * @param product of its output and the output's gradient
   */
  public void query(int query, float sum, float product) {
    logSumExp[query] = sum;
    mean[query] = product;
  }

  /** Forgets all queries from one on. */
  public void noQueriesFrom(int query) {
    Arrays.fill(logSumExp, query, QUERIES, Float.POSITIVE_INFINITY);
    Arrays.fill(mean, query, QUERIES, 0);
  }

  /**
   * Memory of a tile.
   *
   * @param scores float32 {@code [keys, QUERIES]}, before the scale; read
   * @param gradient of the probabilities, the same; read
   * @param probabilities bfloat16 {@code [keys, QUERIES]}, written
   * @param scoreGradient the same, written
   * @param scoreGradientPanels the same in pairs of rows, {@code [QUERIES / 64, keys / 2, 64, 2]}
   */
  public record Tile(
      MemorySegment scores,
      MemorySegment gradient,
      MemorySegment probabilities,
      MemorySegment scoreGradient,
      MemorySegment scoreGradientPanels) {}

  /**
   * Probabilities of keys, and the gradients of their scores.
   *
   * @param keys rows that count; those up to {@code padded} get zeros
   * @param padded a multiple of 16
   * @param mostKeys rows that the tile has room for
   * @param firstSeen the first query of the block that sees the tile's first key; the next key is
   *     seen from the next query on. Negative if earlier keys than the block's own
   * @param scale factor on the scores
   */
  public void run(int keys, int padded, int mostKeys, int firstSeen, float scale, Tile tile) {
    for (int key = 0; key < padded; key += QueryTile.ROWS) {
      QueryTile.read(tile.scores(), key, scores);
      QueryTile.read(tile.gradient(), key, gradients);
      compute(scale);
      QueryTile.hide(scores, key, keys, firstSeen, 0);
      QueryTile.hide(gradients, key, keys, firstSeen, 0);
      QueryTile.write(scores, tile.probabilities(), key);
      QueryTile.write(gradients, tile.scoreGradient(), key);
      QueryTile.writePairs(gradients, tile.scoreGradientPanels(), key, mostKeys);
    }
  }

  /** Replaces scores by probabilities, and gradients of these by those of the scores. */
  private void compute(float scale) {
    for (int i = 0; i < QueryTile.ROWS * QUERIES; i += Lanes.COUNT) {
      int query = i % QUERIES;
      FloatVector probability =
          Exponential.of(Lanes.load(scores, i).mul(scale).sub(Lanes.load(logSumExp, query)));
      probability.intoArray(scores, i);
      Lanes.load(gradients, i)
          .sub(Lanes.load(mean, query))
          .mul(probability)
          .mul(scale)
          .intoArray(gradients, i);
    }
  }
}
