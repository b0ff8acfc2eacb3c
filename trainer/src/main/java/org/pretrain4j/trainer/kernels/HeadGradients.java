package org.pretrain4j.trainer.kernels;

import jdk.incubator.vector.FloatVector;

/** Brings the gradients of an attention's heads together. */
public final class HeadGradients {
  private static final int CHUNK_ROWS = 8;

  private HeadGradients() {}

  /**
   * Writes the gradient of a joint projection to queries, keys and values. Query heads that share a
   * key-value head add up, in their order.
   *
   * @param query float32 {@code [heads * tokens, headDim]}, head by head
   * @param key the same, for each query head
   * @param value the same, for each query head
   * @param keyValueHeads divides the number of query heads
   * @param qkv {@code [tokens, (heads + 2 keyValueHeads) * headDim]}, written
   */
  public static void join(
      WorkerPool pool, Matrix query, Matrix key, Matrix value, int keyValueHeads, Matrix qkv) {
    int headDim = query.columns();
    int tokens = qkv.rows();
    int heads = query.rows() / tokens;
    query.requireShape("query", heads * tokens, headDim);
    key.requireLike("key", query);
    value.requireLike("value", query);
    qkv.requireShape("qkv", tokens, (heads + 2 * keyValueHeads) * headDim);
    pool.run(
        tokens,
        CHUNK_ROWS,
        (from, to, scratch) -> {
          float[] row = scratch.floats(0, Staging.padded(headDim));
          for (long token = from; token < to; token++) {
            for (int head = 0; head < heads; head++) {
              Staging.read(query, (long) head * tokens + token, 0, headDim, row);
              Staging.write(row, qkv, token, head * headDim, headDim);
            }
          }
        });
    joinKeysAndValues(pool, key, value, heads, keyValueHeads, qkv);
  }

  /** The part of {@link #join} behind the queries. */
  public static void joinKeysAndValues(
      WorkerPool pool, Matrix key, Matrix value, int heads, int keyValueHeads, Matrix qkv) {
    int headDim = key.columns();
    int tokens = qkv.rows();
    int groups = heads / keyValueHeads;
    key.requireShape("key", heads * tokens, headDim);
    value.requireLike("value", key);
    qkv.requireShape("qkv", tokens, (heads + 2 * keyValueHeads) * headDim);
    pool.run(
        tokens,
        CHUNK_ROWS,
        (from, to, scratch) -> {
          float[] sum = scratch.floats(0, Staging.padded(headDim));
          float[] addend = scratch.floats(1, Staging.padded(headDim));
          for (long token = from; token < to; token++) {
            for (int head = 0; head < keyValueHeads; head++) {
              int column = (heads + head) * headDim;
              sum(key, token, tokens, head * groups, groups, sum, addend);
              Staging.write(sum, qkv, token, column, headDim);
              sum(value, token, tokens, head * groups, groups, sum, addend);
              Staging.write(sum, qkv, token, column + keyValueHeads * headDim, headDim);
            }
          }
        });
  }

  private static void sum(
      Matrix parts, long token, int tokens, int first, int count, float[] sum, float[] addend) {
    int headDim = parts.columns();
    Staging.read(parts, (long) first * tokens + token, 0, headDim, sum);
    for (int head = first + 1; head < first + count; head++) {
      Staging.read(parts, (long) head * tokens + token, 0, headDim, addend);
      for (int i = 0; i < headDim; i += Lanes.COUNT) {
        FloatVector total = Lanes.load(sum, i).add(Lanes.load(addend, i));
        total.intoArray(sum, i);
      }
    }
  }
}
