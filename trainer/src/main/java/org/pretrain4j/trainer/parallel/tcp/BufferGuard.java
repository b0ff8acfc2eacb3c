package org.pretrain4j.trainer.parallel.tcp;

import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/**
 * Where the threads of one rank's collectives wait for each other, and how many of them read or
 * write the buffers right now.
 */
final class BufferGuard {
  private static final Duration SETTLE = Duration.ofSeconds(10);
  private static final long GRACE_NANOS = 500_000_000;

  private final ReentrantLock lock;
  private final Condition changed;
  private int touching;

  BufferGuard(ReentrantLock lock) {
    this.lock = lock;
    this.changed = lock.newCondition();
  }

  /** The calling thread is about to touch a buffer; the lock is held. */
  void enter() {
    touching++;
  }

  /** It does so no more; the lock is held. */
  void leave() {
    touching--;
    changed.signalAll();
  }

  /** Lets all threads that wait look again; the lock is held. */
  void signal() {
    changed.signalAll();
  }

  /** Waits as long as this is so, not longer than this; the lock is held. */
  void awaitWhile(BooleanSupplier condition, long nanos) throws InterruptedException {
    long left = nanos;
    while (condition.getAsBoolean() && left > 0) {
      left = changed.awaitNanos(left);
    }
  }

  /** Waits until something may have changed; the lock is held. */
  void awaitChange(long nanos) throws InterruptedException {
    changed.awaitNanos(nanos);
  }

  /**
   * Waits until no thread touches a buffer any more.
   *
   * @param cut ends transfers that are stuck
   */
  void settle(Runnable cut) {
    lock.lock();
    try {
      long end = System.nanoTime() + SETTLE.toNanos();
      while (touching > 0 && System.nanoTime() < end) {
        changed.awaitNanos(GRACE_NANOS);
        if (touching > 0) {
          cut.run();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      lock.unlock();
    }
  }
}
