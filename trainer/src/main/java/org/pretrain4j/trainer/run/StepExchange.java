package org.pretrain4j.trainer.run;

import java.util.Arrays;
import java.util.List;
import org.pretrain4j.trainer.parallel.Collectives;

/**
 * What the ranks tell each other once a step, after the backward pass and before anyone decides.
 * All ranks have the same one, so all decide alike.
 *
 * @param targets of the global batch
 * @param loss mean over them, in nats
 * @param squares sum of the squared gradients of each rank's shard
 * @param stopWanted whether any rank was asked to stop
 * @param work of each rank
 */
record StepExchange(
    long targets, double loss, double[] squares, boolean stopWanted, List<RankWork> work) {
  /** A rank's targets are far fewer. */
  private static final long STOP = 1L << 62;

  /**
   * Exchanges.
   *
   * @param targets of this rank
   * @param lossSum over them
   * @param squares of this rank's shard of the reduced gradients
   */
  static StepExchange of(
      Collectives collectives,
      long targets,
      double lossSum,
      double squares,
      boolean stopWanted,
      RankWork work) {
    long allTargets = 0;
    boolean anyWantsStop = false;
    for (long theirs : collectives.allGatherLong(targets | (stopWanted ? STOP : 0))) {
      allTargets += theirs & ~STOP;
      anyWantsStop |= (theirs & STOP) != 0;
    }
    double loss = Arrays.stream(collectives.allGatherDouble(lossSum)).reduce(0, Double::sum);
    double[] allSquares = collectives.allGatherDouble(squares);
    List<RankWork> allWork =
        Arrays.stream(collectives.allGatherLong(work.packed()))
            .mapToObj(RankWork::unpacked)
            .toList();
    return new StepExchange(allTargets, loss / allTargets, allSquares, anyWantsStop, allWork);
  }
}
