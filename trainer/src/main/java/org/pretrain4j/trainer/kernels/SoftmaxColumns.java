package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Softmax over keys that come tile by tile (Milakov and Gimelshein, 2018), for a block of queries
 * that are the columns of the tiles. Arithmetic in float32; only probabilities are rounded.
 */
public final class SoftmaxColumns {
  /** Queries of a block. */
  public static final int QUERIES = QueryTile.QUERIES;

  private static final int[] COLUMN = new int[Lanes.COUNT];

  static {
    for (int i = 0; i < COLUMN.length; i++) {
      COLUMN[i] = i * QUERIES;
    }
  }

  private final float[] max = new float[QUERIES];
  private final float[] sum = new float[QUERIES];
  private final float[] factor = new float[QUERIES];
  private final float[] tileSum = new float[QUERIES];
  private final float[] rows = new float[QueryTile.ROWS * QUERIES];
  private final float[] turned = new float[Lanes.COUNT * QUERIES];
  private final float[] row;

  /**
   * @param headDim a multiple of 32
   */
  public SoftmaxColumns(int headDim) {
    row = new float[headDim];
  }

  /** Begins a block of queries. */
  public void begin() {
    Arrays.fill(max, Float.NEGATIVE_INFINITY);
    Arrays.fill(sum, 0);
  }

  /**
   * The next keys, of which every query of the block must see one if they are the first.
   *
   * @param keys rows that count; those up to {@code padded} get zeros
   * @param padded a multiple of 16
   * @param mostKeys rows that the tile has room for
   * @param firstSeen the first query of the block that sees the tile's first key; the next key is
   *     seen from the next query on. Negative if earlier keys than the block's own
   * @param scale factor on the scores, positive
   * @param scores float32 {@code [keys, QUERIES]}, before the scale
   * @param panels bfloat16 {@code [QUERIES / 64, mostKeys / 2, 64, 2]}, written: e^(scale * score -
   *     the largest so far)
   */
  public void run(
      int keys,
      int padded,
      int mostKeys,
      int firstSeen,
      float scale,
      MemorySegment scores,
      MemorySegment panels) {
    System.arraycopy(max, 0, factor, 0, QUERIES);
    for (int key = 0; key < padded; key += QueryTile.ROWS) {
      QueryTile.read(scores, key, rows);
      QueryTile.hide(rows, key, keys, firstSeen, Float.NEGATIVE_INFINITY);
      raiseMax(scale);
    }
    startSums();
    for (int key = 0; key < padded; key += QueryTile.ROWS) {
      QueryTile.read(scores, key, rows);
      QueryTile.hide(rows, key, keys, firstSeen, Float.NEGATIVE_INFINITY);
      exponentials(scale);
      QueryTile.writePairs(rows, panels, key, mostKeys);
    }
    for (int i = 0; i < QUERIES; i += Lanes.COUNT) {
      Lanes.load(sum, i).add(Lanes.load(tileSum, i)).intoArray(sum, i);
    }
  }

  /** The largest scaled score of each query; NaNs are passed over, they reach the sums. */
  private void raiseMax(float scale) {
    for (int query = 0; query < QUERIES; query += Lanes.COUNT) {
      FloatVector most = Lanes.load(rows, query);
      for (int i = query + QUERIES; i < QueryTile.ROWS * QUERIES; i += QUERIES) {
        FloatVector score = Lanes.load(rows, i);
        most = most.blend(score, score.compare(VectorOperators.GT, most));
      }
      most = most.mul(scale);
      FloatVector earlier = Lanes.load(max, query);
      earlier.blend(most, most.compare(VectorOperators.GT, earlier)).intoArray(max, query);
    }
  }

  /** What earlier exponentials must be multiplied by, which referred to another largest score. */
  private void startSums() {
    for (int i = 0; i < QUERIES; i += Lanes.COUNT) {
      Exponential.of(Lanes.load(factor, i).sub(Lanes.load(max, i))).intoArray(factor, i);
      Lanes.load(sum, i).mul(Lanes.load(factor, i)).intoArray(sum, i);
    }
    Arrays.fill(tileSum, 0);
  }

  private void exponentials(float scale) {
    for (int i = 0; i < QueryTile.ROWS * QUERIES; i += Lanes.COUNT) {
      int query = i % QUERIES;
      FloatVector e = Exponential.of(Lanes.load(rows, i).mul(scale).sub(Lanes.load(max, query)));
      e.intoArray(rows, i);
      Lanes.load(tileSum, query).add(e).intoArray(tileSum, query);
    }
  }

  /**
   * Refers earlier sums to the largest score of now.
   *
   * @param sums float32 {@code [headDim, QUERIES]}: sums over earlier keys of exponential times
   *     value
   */
  public void rescale(MemorySegment sums) {
    for (int i = 0; i < row.length * QUERIES; i += Lanes.COUNT) {
      Lanes.store(Lanes.load(sums, i).mul(Lanes.load(factor, i % QUERIES)), sums, i);
    }
  }

  /**
   * Ends a block of queries.
   *
   * @param sums over all keys
   * @param queries of the block that count
   * @param output receives sums over the softmax's denominator, a row for each query
   * @param logSumExp receives the logarithms of the denominators, of scaled scores
   * @param first index there of the first query
   */
  public void finish(
      MemorySegment sums,
      int queries,
      Matrix output,
      long outputRow,
      int outputColumn,
      MemorySegment logSumExp,
      long first) {
    for (int i = 0; i < queries; i++) {
      float log = (float) (max[i] + StrictMath.log(sum[i]));
      logSumExp.setAtIndex(ValueLayout.JAVA_FLOAT, first + i, log);
      factor[i] = 1 / sum[i];
    }
    turn(sums, queries, factor, output, outputRow, outputColumn);
  }

  /**
   * Columns of queries to rows of them, unchanged.
   *
   * @param sums float32 {@code [headDim, QUERIES]}
   */
  public void turn(MemorySegment sums, int queries, Matrix output, long firstRow, int column) {
    Arrays.fill(factor, 1);
    turn(sums, queries, factor, output, firstRow, column);
  }

  private void turn(
      MemorySegment sums, int queries, float[] factors, Matrix output, long firstRow, int column) {
    for (int part = 0; part < row.length; part += Lanes.COUNT) {
      long offset = (long) part * QUERIES * Float.BYTES;
      MemorySegment.copy(sums, ValueLayout.JAVA_FLOAT, offset, turned, 0, turned.length);
      for (int i = 0; i < queries; i++) {
        FloatVector.fromArray(Lanes.FLOATS, turned, i, COLUMN, 0).mul(factors[i]).intoArray(row, 0);
        Staging.write(row, output, firstRow + i, column + part, Lanes.COUNT);
      }
    }
  }
}
