package org.pretrain4j.trainer.run;

/**
 * How a run ended.
 *
 * @param steps steps done since the beginning of the run
 * @param complete whether all of them are done
 * @param lastLoss of the last step; NaN if none was done
 */
public record TrainingResult(long steps, boolean complete, double lastLoss) {}
