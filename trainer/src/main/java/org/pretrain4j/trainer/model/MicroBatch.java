package org.pretrain4j.trainer.model;

import java.util.List;

/**
 * The rows of one forward and backward pass.
 *
 * @param inputs {@code [rows][sequence]} tokens
 * @param targets {@code [rows][sequence]} the token that follows each input, or {@link #MASKED}
 * @param documentStarts for each row, the positions above 0 at which a new document begins, in
 *     ascending order; empty where documents are not to be kept apart
 */
public record MicroBatch(int[][] inputs, int[][] targets, List<int[]> documentStarts) {
  /** A target that does not count. */
  public static final int MASKED = -100;

  public MicroBatch {
    documentStarts = List.copyOf(documentStarts);
    if (inputs.length == 0
        || targets.length != inputs.length
        || documentStarts.size() != inputs.length) {
      throw new IllegalArgumentException(
          inputs.length + " rows of inputs, " + targets.length + " of targets");
    }
  }

  /** Number of rows. */
  public int rows() {
    return inputs.length;
  }

  /** Tokens of a row. */
  public int sequenceLength() {
    return inputs[0].length;
  }

  /** Number of targets that count. */
  public long targetCount() {
    long count = 0;
    for (int[] row : targets) {
      for (int target : row) {
        if (target != MASKED) {
          count++;
        }
      }
    }
    return count;
  }

  /** Whether a row holds more than one document. */
  boolean hasBoundaries() {
    for (int[] starts : documentStarts) {
      if (starts.length > 0) {
        return true;
      }
    }
    return false;
  }

  /** All inputs {@code [rows * sequence]}. */
  public int[] flatInputs() {
    return flat(inputs);
  }

  /** All targets {@code [rows * sequence]}. */
  public int[] flatTargets() {
    return flat(targets);
  }

  private int[] flat(int[][] rows) {
    int[] all = new int[rows() * sequenceLength()];
    for (int row = 0; row < rows(); row++) {
      System.arraycopy(rows[row], 0, all, row * sequenceLength(), sequenceLength());
    }
    return all;
  }
}
