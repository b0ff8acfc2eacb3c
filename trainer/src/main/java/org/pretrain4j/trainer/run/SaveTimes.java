package org.pretrain4j.trainer.run;

/**
 * What saving cost, in seconds.
 *
 * @param blockedSeconds how long training stood still for it
 * @param writeSeconds from the beginning of a save that has ended until rank 0's shard was durable
 * @param publishSeconds from then until the checkpoint was complete and old ones were deleted
 */
public record SaveTimes(double blockedSeconds, double writeSeconds, double publishSeconds) {
  /** Nothing was saved. */
  static final SaveTimes NONE = new SaveTimes(0, 0, 0);

  SaveTimes plus(SaveTimes other) {
    return new SaveTimes(
        blockedSeconds + other.blockedSeconds,
        writeSeconds + other.writeSeconds,
        publishSeconds + other.publishSeconds);
  }
}
