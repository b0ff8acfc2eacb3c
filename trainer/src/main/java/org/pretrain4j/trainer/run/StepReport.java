package org.pretrain4j.trainer.run;

import org.pretrain4j.trainer.run.RankTrainer.StepOutcome;

/** Takes what a step came to. */
@FunctionalInterface
interface StepReport {
  /** What ranks other than 0 say. */
  StepReport NONE = (stepsDone, outcome, saving) -> {};

  /**
   * Reports a step.
   *
   * @param stepsDone steps done, this one included
   * @param saving what checkpoints cost since the report before
   */
  void report(long stepsDone, StepOutcome outcome, SaveTimes saving);
}
