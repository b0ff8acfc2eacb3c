package org.pretrain4j.trainer.kernels;

/**
 * Cross entropy of rows of logits with its gradient, {@code scale * (softmax(logits) - onehot)},
 * while the row is still in the cache. Arithmetic in float32, sums over the vocabulary in blocks
 * that are added in float64.
 */
public final class CrossEntropy {
  /** A target that counts neither in the loss nor in the gradient. */
  public static final int MASKED = -100;

  private static final int CHUNK_ROWS = 2;
  private static final int BLOCK = 4096;

  private CrossEntropy() {}

  /**
   * Losses and gradients of a chunk of tokens.
   *
   * @param logits [tokens, vocabSize]
   * @param targets [tokens], each in [0, vocabSize) or {@link #MASKED}
   * @param scale what the gradient is multiplied by, such as 1 / target tokens of the global batch
   * @param dLogits [tokens, vocabSize], written; may be logits, also with another element type if
   *     its memory is another
   * @return sum of the losses over the targets that count, not scaled
   * @throws IllegalArgumentException if a target is outside of the vocabulary
   */
  public static double forwardBackward(
      WorkerPool pool, Matrix logits, int[] targets, float scale, Matrix dLogits) {
    int vocab = logits.columns();
    dLogits.requireShape("dLogits", logits.rows(), vocab);
    if (targets.length != logits.rows()) {
      throw new IllegalArgumentException(
          targets.length + " targets for " + logits.rows() + " rows");
    }
    for (int target : targets) {
      if (target != MASKED && (target < 0 || target >= vocab)) {
        throw new IllegalArgumentException(
            "target " + target + " in a vocabulary of " + vocab + " tokens");
      }
    }
    double[] losses = new double[targets.length];
    pool.run(
        targets.length,
        CHUNK_ROWS,
        (from, to, scratch) -> {
          float[] row = scratch.floats(0, Staging.padded(vocab));
          float[] single = scratch.floats(1, Lanes.COUNT);
          for (int token = (int) from; token < to; token++) {
            int target = targets[token];
            if (target == MASKED) {
              dLogits.row(token).fill((byte) 0);
              continue;
            }
            float max = LogitRow.read(logits, token, row);
            double above = (double) row[target] - max;
            double sum = sumOfExponentials(row, vocab, max);
            LogitRow.writeScaled(row, (float) (scale / sum), dLogits, token);
            // StrictMath, as Math is not the same when interpreted.
            single[0] = (float) ((StrictMath.exp(above) / sum - 1) * scale);
            Staging.write(single, dLogits, token, target, 1);
            losses[token] = StrictMath.log(sum) - above;
          }
        });
    double sum = 0;
    for (double loss : losses) {
      sum += loss;
    }
    return sum;
  }

  /** Leaves the exponentials in the row, whose padding is negative infinity. */
  private static double sumOfExponentials(float[] row, int vocab, float max) {
    double sum = 0;
    for (int from = 0; from < vocab; from += BLOCK) {
      sum += LogitRow.exponentials(row, from, Math.min(vocab, from + BLOCK), max);
    }
    return sum;
  }
}
