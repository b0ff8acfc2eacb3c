package org.pretrain4j.trainer.run;

import java.util.ArrayList;
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
  /** Numbers of a rank. */
  private static final int LONGS = 5 + RankWork.LONGS;

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
    long[] own = work.packed();
    long[] all =
        // In one call: each costs a round through the cluster and, on GPUs, a wait for the stream.
        collectives.allGatherLongs(
            targets,
            substitutes,
            stopWanted ? 1 : 0,
            Double.doubleToRawLongBits(lossSum),
            Double.doubleToRawLongBits(squares),
            own[0],
            own[1],
            own[2]);
    long allTargets = 0;
    long allSubstitutes = 0;
    boolean anyWantsStop = false;
    double loss = 0;
    double[] allSquares = new double[collectives.worldSize()];
    List<RankWork> allWork = new ArrayList<>(collectives.worldSize());
    for (int rank = 0; rank < collectives.worldSize(); rank++) {
      int from = rank * LONGS;
      allTargets += all[from];
      allSubstitutes += all[from + 1];
      anyWantsStop |= all[from + 2] != 0;
      loss += Double.longBitsToDouble(all[from + 3]);
      allSquares[rank] = Double.longBitsToDouble(all[from + 4]);
      allWork.add(RankWork.unpacked(all, from + 5));
    }
    return new StepExchange(
        allTargets,
        allSubstitutes,
        loss / allTargets,
        allSquares,
        anyWantsStop,
        List.copyOf(allWork));
  }
}
