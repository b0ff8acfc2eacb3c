package org.pretrain4j.trainer.run;

import java.util.List;
import java.util.Optional;
import org.pretrain4j.trainer.parallel.faults.Stragglers;

/**
 * Which rank the others wait for. Times are compared as if all had the same number of rows, so that
 * an uneven deal is not taken for a slow machine.
 */
final class RankPace {
  /** Steps over which ranks are compared, and between two warnings. */
  private static final int WINDOW = 20;

  private static final int STEPS_BETWEEN_WARNINGS = 100;

  /** A rank lags that takes this many times the median of all. */
  private static final double FACTOR = 1.3;

  private final int rows;
  private final Stragglers stragglers;
  private long step;
  private long warnAgainAt;

  /**
   * @param rows of a step over all ranks
   */
  RankPace(int rows, int worldSize) {
    this.rows = rows;
    this.stragglers = new Stragglers(worldSize, RankWork.PHASES, WINDOW, FACTOR);
  }

  /** The rank that worked longest in a step. */
  static int slowest(List<RankWork> work) {
    int slowest = 0;
    for (int rank = 1; rank < work.size(); rank++) {
      slowest = work.get(rank).seconds() > work.get(slowest).seconds() ? rank : slowest;
    }
    return slowest;
  }

  /** Notes a step; a line that names the rank and its phase where one lags, now and then. */
  Optional<String> warning(List<RankWork> work) {
    int ranks = work.size();
    double[][] seconds = new double[ranks][];
    double most = new RowDeal(rows, ranks).mostRows();
    for (int rank = 0; rank < ranks; rank++) {
      int own = RowShare.of(rows, rank, ranks).count();
      seconds[rank] = work.get(rank).scaled(own == 0 ? 0 : most / own).phases();
    }
    stragglers.add(seconds, work.stream().mapToDouble(RankWork::communication).toArray());
    step++;
    if (ranks == 1 || rows < ranks || step < warnAgainAt) {
      return Optional.empty();
    }
    Optional<String> found = stragglers.find().map(Stragglers.Straggler::describe);
    if (found.isPresent()) {
      warnAgainAt = step + STEPS_BETWEEN_WARNINGS;
    }
    return found;
  }
}
