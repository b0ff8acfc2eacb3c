package org.pretrain4j.trainer.run;

import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * A thread that reads a rank's values while another one waits for it: the one that waits may fail
 * and go, but must not free the values before the copy has ended.
 */
final class Copying {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition idle = lock.newCondition();
  private Thread copier;
  private boolean over;

  /**
   * Copies; on the copying thread.
   *
   * @throws IllegalStateException if the values may be gone
   */
  <T> T during(Supplier<T> copy) {
    lock.lock();
    try {
      if (over) {
        throw new IllegalStateException("the rank has ended before its values were copied");
      }
      copier = Thread.currentThread();
    } finally {
      lock.unlock();
    }
    try {
      return copy.get();
    } finally {
      lock.lock();
      try {
        copier = null;
        idle.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  /**
   * Waits until nothing copies, and lets nothing begin to.
   *
   * @param patience after which the copy is interrupted
   */
  void end(Duration patience) {
    lock.lock();
    try {
      over = true;
      long left = patience.toNanos();
      while (copier != null && left > 0) {
        left = awaitIdle(left);
      }
      if (copier != null) {
        copier.interrupt();
      }
      while (copier != null) {
        idle.awaitUninterruptibly();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Time that is left; none for a thread that was told to hurry. */
  private long awaitIdle(long nanos) {
    try {
      return idle.awaitNanos(nanos);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 0;
    }
  }
}
