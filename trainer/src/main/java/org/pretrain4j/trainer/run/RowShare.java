package org.pretrain4j.trainer.run;

import java.util.Optional;
import org.pretrain4j.data.stream.ReadAhead;
import org.pretrain4j.data.stream.TokenStream;

/**
 * The rows of a global batch that one rank works on: as even as they go, contiguous, in the order
 * of ranks.
 *
 * @param from first row
 * @param to one past the last row; equal to {@code from} for a rank without rows
 */
public record RowShare(int from, int to) {

  /** The share of one rank. */
  public static RowShare of(int rows, int rank, int worldSize) {
    return new RowShare(
        (int) ((long) rows * rank / worldSize), (int) ((long) rows * (rank + 1) / worldSize));
  }

  /** Reads these rows of all steps from one on; empty for a rank without rows. */
  Optional<ReadAhead> read(TokenStream stream, long firstStep, int depth) {
    return count() == 0
        ? Optional.empty()
        : Optional.of(new ReadAhead(stream, firstStep, from, to, depth, 1));
  }

  int count() {
    return to - from;
  }
}
