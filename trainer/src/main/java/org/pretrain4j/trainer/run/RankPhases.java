package org.pretrain4j.trainer.run;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Sums what each rank spends in each phase, for a line of {@value #FILE_NAME} now and then. */
final class RankPhases {
  static final String FILE_NAME = "ranks.jsonl";

  /** Steps between two lines: a line grows with the number of ranks. */
  private static final int INTERVAL = 20;

  /**
   * A line: mean seconds a step of each rank, in the order of ranks.
   *
   * @param step number of steps done
   * @param steps over which it is the mean
   * @param communication waiting for other ranks
   * @param garbageCollection pauses for the collector of the heap of the rank's process
   * @param mostGarbageCollection the same, in the step with most of them: no single pause was
   *     longer
   */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  record Line(
      long step,
      int steps,
      double[] data,
      double[] forward,
      double[] backward,
      double[] communication,
      double[] optimizer,
      double[] garbageCollection,
      double[] mostGarbageCollection) {}

  private final long totalSteps;
  private final double[][] sums;
  private final double[] most;
  private int steps;

  RankPhases(int worldSize, long totalSteps) {
    this.totalSteps = totalSteps;
    this.sums = new double[6][worldSize];
    this.most = new double[worldSize];
  }

  /** Notes a step; a line where one is due. */
  Optional<Line> add(long stepsDone, List<RankWork> work) {
    steps++;
    for (int rank = 0; rank < work.size(); rank++) {
      RankWork own = work.get(rank);
      sums[0][rank] += own.data();
      sums[1][rank] += own.forward();
      sums[2][rank] += own.backward();
      sums[3][rank] += own.communication();
      sums[4][rank] += own.optimizer();
      sums[5][rank] += own.garbageCollection();
      most[rank] = Math.max(most[rank], own.garbageCollection());
    }
    if (stepsDone % INTERVAL != 0 && stepsDone != totalSteps) {
      return Optional.empty();
    }
    Line line =
        new Line(
            stepsDone, steps, mean(0), mean(1), mean(2), mean(3), mean(4), mean(5), takeMost());
    steps = 0;
    return Optional.of(line);
  }

  private double[] takeMost() {
    double[] taken = Arrays.stream(most).map(seconds -> Math.round(1e4 * seconds) / 1e4).toArray();
    Arrays.fill(most, 0);
    return taken;
  }

  /** To tenths of a millisecond; the sum begins again. */
  private double[] mean(int phase) {
    double[] means = new double[sums[phase].length];
    for (int rank = 0; rank < means.length; rank++) {
      means[rank] = Math.round(1e4 * sums[phase][rank] / steps) / 1e4;
      sums[phase][rank] = 0;
    }
    return means;
  }
}
