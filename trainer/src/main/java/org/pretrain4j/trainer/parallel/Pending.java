package org.pretrain4j.trainer.parallel;

/**
 * A collective that was started and may still be under way. Until {@link #await()} returns, its
 * buffers belong to it: they are neither written, nor read, nor freed, nor given to another
 * collective.
 */
@FunctionalInterface
public interface Pending {
  /** A collective that is already complete. */
  Pending COMPLETE = () -> {};

  /**
   * Returns when this rank's result is there and its buffers are free again. The waiting thread may
   * do part of the work. Calling it again has no effect.
   *
   * @throws CollectiveException if a rank failed or left, if the ranks called different
   *     collectives, or if the timeout passed; it names the ranks at fault
   */
  void await();
}
