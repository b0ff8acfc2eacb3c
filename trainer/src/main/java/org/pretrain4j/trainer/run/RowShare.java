package org.pretrain4j.trainer.run;

/**
 * The rows of a global batch that one rank works on: as even as they go, contiguous, in the order
 * of ranks.
 *
 * @param from first row
 * @param to one past the last row; equal to {@code from} for a rank without rows
 */
record RowShare(int from, int to) {

  static RowShare of(int rows, int rank, int worldSize) {
    return new RowShare(
        (int) ((long) rows * rank / worldSize), (int) ((long) rows * (rank + 1) / worldSize));
  }

  int count() {
    return to - from;
  }
}
