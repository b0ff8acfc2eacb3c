package org.pretrain4j.trainer.run;

import org.pretrain4j.trainer.run.RankTrainer.StepOutcome;

/** Takes what a step came to. */
@FunctionalInterface
interface StepReport {
  /** What ranks other than 0 say. */
  StepReport NONE = (stepsDone, outcome, checkpointSeconds) -> {};

  /**
   * Reports a step.
   *
   * @param stepsDone steps done, this one included
   * @param checkpointSeconds time that was lost to a checkpoint after it
   */
  void report(long stepsDone, StepOutcome outcome, double checkpointSeconds);
}
