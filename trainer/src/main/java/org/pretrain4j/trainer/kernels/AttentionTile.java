package org.pretrain4j.trainer.kernels;

import jdk.incubator.vector.FloatVector;

/**
 * What the backward pass of attention does between its matrix products, on a tile of queries by
 * keys: with s the scores, {@code p = e^(scale s - logSumExp)}, and with d the gradient of p,
 * {@code ds = scale p (d - sum over keys of p d)} (Dao et al., 2022). Arithmetic in float32.
 */
public final class AttentionTile {
  private final float[] scores;
  private final float[] gradient;

  /**
   * @param mostKeys of a tile
   */
  public AttentionTile(int mostKeys) {
    scores = new float[Staging.padded(mostKeys)];
    gradient = new float[scores.length];
  }

  /**
   * One row of a tile; keys behind the causal border get zeros.
   *
   * @param row of all four matrices
   * @param keys that the query may see, from the first of the tile on; 0 or more
   * @param scale factor on the scores
   * @param logSumExp of all scaled scores of the query
   * @param mean sum over all keys of p d, which is that of the output times its gradient
   * @param s {@code [queries, keys]}: scores, before the scale
   * @param d {@code [queries, keys]}: gradient of the probabilities
   * @param p {@code [queries, keys]}, written; may be s
   * @param ds {@code [queries, keys]}, written; may be d
   */
  public void row(
      int row,
      int keys,
      float scale,
      float logSumExp,
      float mean,
      Matrix s,
      Matrix d,
      Matrix p,
      Matrix ds) {
    int width = s.columns();
    int seen = Math.min(width, keys);
    Staging.read(s, row, 0, seen, scores);
    Staging.read(d, row, 0, seen, gradient);
    for (int i = 0; i < seen; i += Lanes.COUNT) {
      FloatVector probability = Exponential.of(Lanes.load(scores, i).mul(scale).sub(logSumExp));
      probability.intoArray(scores, i);
      Lanes.load(gradient, i).sub(mean).mul(probability).mul(scale).intoArray(gradient, i);
    }
    for (int i = seen; i < width; i++) {
      scores[i] = 0;
      gradient[i] = 0;
    }
    Staging.write(scores, p, row, 0, width);
    Staging.write(gradient, ds, row, 0, width);
  }

  /** Sum over the columns of the products of two rows, in float32. */
  public float product(Matrix a, long rowOfA, int columnOfA, Matrix b, long rowOfB, int n) {
    Staging.read(a, rowOfA, columnOfA, n, scores);
    Staging.read(b, rowOfB, columnOfA, n, gradient);
    FloatVector sum = FloatVector.zero(Lanes.FLOATS);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      sum = sum.add(Lanes.load(scores, i).mul(Lanes.load(gradient, i)));
    }
    return Lanes.sum(sum);
  }
}
