package org.pretrain4j.trainer.evaluation;

import org.pretrain4j.trainer.model.MicroBatch;

/** Gives the log-likelihoods of targets. */
@FunctionalInterface
public interface BatchScorer {
  /**
   * @return in nats, {@code [rows * sequence]}, 0 where a target is masked
   */
  double[] score(MicroBatch batch);
}
