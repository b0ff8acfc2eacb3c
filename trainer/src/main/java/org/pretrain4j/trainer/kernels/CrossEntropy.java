package org.pretrain4j.trainer.kernels;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

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
          for (int token = (int) from; token < to; token++) {
            if (targets[token] == MASKED) {
              dLogits.row(token).fill((byte) 0);
            } else {
              Staging.read(logits, token, 0, vocab, row);
              losses[token] = lossAndGradient(row, vocab, targets[token], scale);
              Staging.write(row, dLogits, token, 0, vocab);
            }
          }
        });
    double sum = 0;
    for (double loss : losses) {
      sum += loss;
    }
    return sum;
  }

  /** Replaces logits by their gradient; StrictMath as Math is not the same when interpreted. */
  private static double lossAndGradient(float[] row, int vocab, int target, float scale) {
    Arrays.fill(row, vocab, Staging.padded(vocab), Float.NEGATIVE_INFINITY);
    float max = max(row, vocab);
    double above = (double) row[target] - max;
    double sum = 0;
    for (int from = 0; from < vocab; from += BLOCK) {
      sum += exponentials(row, from, Math.min(vocab, from + BLOCK), max);
    }
    multiply(row, vocab, (float) (scale / sum));
    row[target] = (float) ((StrictMath.exp(above) / sum - 1) * scale);
    return StrictMath.log(sum) - above;
  }

  /** NaNs are passed over: they reach the loss through the sum. */
  private static float max(float[] row, int n) {
    FloatVector max = FloatVector.broadcast(Lanes.FLOATS, Float.NEGATIVE_INFINITY);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      FloatVector values = Lanes.load(row, i);
      max = max.blend(values, values.compare(VectorOperators.GT, max));
    }
    return max.reduceLanes(VectorOperators.MAX);
  }

  /** {@code row = e^(row - max)}; returns the sum. */
  private static float exponentials(float[] row, int from, int to, float max) {
    FloatVector sum = FloatVector.zero(Lanes.FLOATS);
    for (int i = from; i < to; i += Lanes.COUNT) {
      FloatVector e = Exponential.of(Lanes.load(row, i).sub(max));
      e.intoArray(row, i);
      sum = sum.add(e);
    }
    return Lanes.sum(sum);
  }

  private static void multiply(float[] row, int n, float factor) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      Lanes.load(row, i).mul(factor).intoArray(row, i);
    }
  }
}
