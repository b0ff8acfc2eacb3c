package org.pretrain4j.trainer.parallel;

/** What a rank keeps of the gradients of a step. */
public enum GradientSharding {
  /**
   * Sharded where that takes less memory and costs nothing: where no rank has two micro-batches a
   * step.
   */
  AUTO,
  /** All of them (ZeRO-1): 4 bytes a parameter on each rank, communication once a step. */
  FULL,
  /**
   * Its shard (ZeRO-2): 4 bytes a parameter over all ranks together, and the buckets under way; but
   * every micro-batch is reduced, so a step of n micro-batches sends n times as much.
   */
  SHARDED
}
