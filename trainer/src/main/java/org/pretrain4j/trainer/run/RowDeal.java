package org.pretrain4j.trainer.run;

import java.util.OptionalLong;

/**
 * How evenly the rows of a step go over the ranks. The rows are dealt out one each in turn, and a
 * step takes as long as the rank with the most rows.
 *
 * @param rows rows of a step over all ranks
 * @param ranks data-parallel ranks
 */
public record RowDeal(long rows, long ranks) {
  public RowDeal {
    if (rows <= 0 || ranks <= 0) {
      throw new IllegalArgumentException(rows + " rows for " + ranks + " ranks");
    }
  }

  /** Rows of the rank that has the most. */
  public long mostRows() {
    return Math.ceilDiv(rows, ranks);
  }

  /** Share of the ranks' time in which they wait for those with more rows: 1 - rows / (ranks m). */
  public double idleShare() {
    return 1 - (double) rows / ((double) ranks * mostRows());
  }

  /** The next smaller number of ranks that leaves none idle. */
  public long evenBelow() {
    long candidate = Math.min(ranks, rows);
    while (rows % candidate != 0) {
      candidate--;
    }
    return candidate;
  }

  /** The next larger number of ranks that leaves none idle; empty if there are too few rows. */
  public OptionalLong evenAbove() {
    for (long candidate = ranks; candidate <= rows; candidate++) {
      if (rows % candidate == 0) {
        return OptionalLong.of(candidate);
      }
    }
    return OptionalLong.empty();
  }
}
