package org.pretrain4j.trainer.optim;

import org.pretrain4j.checkpoints.FlatRange;

/**
 * A stretch of the flat space with one weight decay.
 *
 * @param range its elements
 * @param weightDecay decoupled weight decay, multiplied by the learning rate at each update
 */
public record WeightDecayRange(FlatRange range, double weightDecay) {}
