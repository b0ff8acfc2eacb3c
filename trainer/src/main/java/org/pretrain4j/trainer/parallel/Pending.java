package org.pretrain4j.trainer.parallel;

import java.util.List;

/**
 * A collective that was started and may still be under way. Until {@link #await()} returns, its
 * buffers belong to it: they are neither written, nor read, nor freed, nor given to another
 * collective. After {@link #follow()} the device may do all that, but not yet the host.
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

  /**
   * Puts all that this rank's device is given from now on behind the collective. Where the buffers
   * are the device's, the host goes on at once; a failure ends whatever the device waits for, with
   * arbitrary results, and is thrown by the rank's next collective, before any of them can leave
   * the rank. Where the buffers are the host's, this is {@link #await()}.
   *
   * @throws CollectiveException as {@link #await()}, as far as it is known
   */
  default void follow() {
    await();
  }

  /** Several collectives as one. */
  static Pending all(List<Pending> underWay) {
    List<Pending> all = List.copyOf(underWay);
    return new Pending() {
      @Override
      public void await() {
        all.forEach(Pending::await);
      }

      @Override
      public void follow() {
        all.forEach(Pending::follow);
      }
    };
  }
}
