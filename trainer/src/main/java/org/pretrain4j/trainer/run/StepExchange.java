package org.pretrain4j.trainer.run;

import java.util.Arrays;
import java.util.List;
import org.pretrain4j.trainer.parallel.Collectives;

/**
 * What the ranks tell each other once a step, after the backward pass and before anyone decides.
 * All ranks have the same one, so all decide alike.
 *
 * @param targets of the global batch
 * @param substitutes rows of it that stand in for damaged ones
 * @param loss mean over the targets, in nats
 * @param squares sum of the squared gradients of each rank's shard
 * @param stopWanted whether any rank was asked to stop
 * @param work of each rank
 */
record StepExchange(
    long targets,
    long substitutes,
    double loss,
    double[] squares,
    boolean stopWanted,
    List<RankWork> work) {
  // One number carries three: a rank's targets and rows are far fewer.
  private static final long STOP = 1L << 62;
  private static final int SUBSTITUTES_SHIFT = 42;

  /**
   * Exchanges.
   *
   * @param targets of this rank
   * @param substitutes among its rows
   * @param lossSum over the targets
   * @param squares of this rank's shard of the reduced gradients
   */
  static StepExchange of(
      Collectives collectives,
      long targets,
      long substitutes,
      double lossSum,
      double squares,
      boolean stopWanted,
      RankWork work) {
    long allTargets = 0;
    long allSubstitutes = 0;
    long mine = targets | substitutes << SUBSTITUTES_SHIFT | (stopWanted ? STOP : 0);
    boolean anyWantsStop = false;
    for (long theirs : collectives.allGatherLong(mine)) {
      allTargets += theirs & (1L << SUBSTITUTES_SHIFT) - 1;
      allSubstitutes += (theirs & ~STOP) >>> SUBSTITUTES_SHIFT;
      anyWantsStop |= (theirs & STOP) != 0;
    }
    double loss = Arrays.stream(collectives.allGatherDouble(lossSum)).reduce(0, Double::sum);
    double[] allSquares = collectives.allGatherDouble(squares);
    List<RankWork> allWork =
        Arrays.stream(collectives.allGatherLong(work.packed()))
            .mapToObj(RankWork::unpacked)
            .toList();
    return new StepExchange(
        allTargets, allSubstitutes, loss / allTargets, allSquares, anyWantsStop, allWork);
  }
}
