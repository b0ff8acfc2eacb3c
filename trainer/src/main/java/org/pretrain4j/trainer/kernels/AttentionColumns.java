package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * What {@link AttentionTile} does, on a transposed tile of keys by queries, so that no product
 * after it needs a transpose. All matrices are {@code [keys, QUERIES]}.
 */
public final class AttentionColumns {
  /** Queries of a tile, seen or not. */
  public static final int QUERIES = 128;

  private final float[] logSumExp = new float[QUERIES];
  private final float[] mean = new float[QUERIES];

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
   * Probabilities of keys, and the gradients of their scores.
   *
   * @param keys rows that count; those up to {@code padded} get zeros
   * @param firstSeen the first query of the block that sees the tile's first key; the next key is
   *     seen from the next query on. Negative if earlier keys than the block's own
   * @param scale factor on the scores
   * @param s scores before the scale, float32
   * @param d gradients of the probabilities, float32
   * @param p probabilities, bfloat16, written
   * @param ds gradients of the scores, bfloat16, written
   */
  public void run(
      int keys,
      int padded,
      int firstSeen,
      float scale,
      MemorySegment s,
      MemorySegment d,
      MemorySegment p,
      MemorySegment ds) {
    for (int key = 0; key < padded; key++) {
      int from = key < keys ? Math.clamp(firstSeen + key, 0, QUERIES) : QUERIES;
      long row = (long) key * QUERIES;
      int whole = from / Lanes.COUNT * Lanes.COUNT;
      p.asSlice(row * Short.BYTES, (long) whole * Short.BYTES).fill((byte) 0);
      ds.asSlice(row * Short.BYTES, (long) whole * Short.BYTES).fill((byte) 0);
      int rest = whole;
      if (from > whole) {
        VectorMask<Float> seen = Lanes.FLOATS.indexInRange(0, from - whole).not();
        step(row, whole, scale, seen, s, d, p, ds);
        rest += Lanes.COUNT;
      }
      steps(row, rest, scale, s, d, p, ds);
    }
  }

  private void steps(
      long row,
      int from,
      float scale,
      MemorySegment s,
      MemorySegment d,
      MemorySegment p,
      MemorySegment ds) {
    for (int i = from; i < QUERIES; i += Lanes.COUNT) {
      FloatVector probability = probability(row, i, scale, s);
      Lanes.storeBfloat16(probability, p, row + i);
      Lanes.storeBfloat16(gradient(row, i, scale, probability, d), ds, row + i);
    }
  }

  private void step(
      long row,
      int i,
      float scale,
      VectorMask<Float> seen,
      MemorySegment s,
      MemorySegment d,
      MemorySegment p,
      MemorySegment ds) {
    FloatVector zero = FloatVector.zero(Lanes.FLOATS);
    FloatVector probability = zero.blend(probability(row, i, scale, s), seen);
    Lanes.storeBfloat16(probability, p, row + i);
    FloatVector gradient = zero.blend(gradient(row, i, scale, probability, d), seen);
    Lanes.storeBfloat16(gradient, ds, row + i);
  }

  private FloatVector probability(long row, int i, float scale, MemorySegment s) {
    return Exponential.of(Lanes.load(s, row + i).mul(scale).sub(Lanes.load(logSumExp, i)));
  }

  private FloatVector gradient(
      long row, int i, float scale, FloatVector probability, MemorySegment d) {
    return Lanes.load(d, row + i).sub(Lanes.load(mean, i)).mul(probability).mul(scale);
  }
}
