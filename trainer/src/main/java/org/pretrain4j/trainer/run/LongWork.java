package org.pretrain4j.trainer.run;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.RankThreads;

/**
 * What takes some ranks long outside of steps, such as preparing data or saving. It runs on a
 * thread of its own while all ranks keep meeting: so nobody is taken for hanging, a rank that dies
 * is noticed, and all hear of a stop that any of them was asked for.
 *
 * <p>All ranks call the same methods in the same order; those that have nothing to do pass work
 * that returns at once.
 */
final class LongWork {
  /** A rank was asked to stop. */
  static final class Stopped extends RankThreads.Ended {
    private static final long serialVersionUID = 1L;

    Stopped() {
      super("stopped before the first step");
    }
  }

  private static final long DONE = 1;
  private static final long STOP = 2;
  private static final long LONGEST_PAUSE_MILLIS = 200;

  private final Collectives collectives;
  private final StopRequest stop;
  private final Duration limit;
  private volatile long lastSign;

  /**
   * @param stop set for this rank if another one was asked to stop
   * @param limit the longest that work may go without a sign of life
   */
  LongWork(Collectives collectives, StopRequest stop, Duration limit) {
    this.collectives = collectives;
    this.stop = stop;
    this.limit = limit;
  }

  /** The work under way goes on; from any thread. */
  void alive() {
    lastSign = System.nanoTime();
  }

  /**
   * Returns when the work of all ranks is done.
   *
   * @param what it is, for the message if it takes too long
   * @return what this rank's work came to
   */
  <T> T await(String what, Callable<T> work) {
    return await(what, work, false);
  }

  /**
   * As {@link #await}, unless a rank is asked to stop.
   *
   * @throws Stopped on all ranks, once this one's work has ended
   */
  <T> T awaitUnlessStopped(String what, Callable<T> work) {
    return await(what, work, true);
  }

  private <T> T await(String what, Callable<T> work, boolean mayStop) {
    FutureTask<T> task = new FutureTask<>(work);
    alive();
    Thread.ofPlatform().daemon().name(Thread.currentThread().getName() + "-" + what).start(task);
    long pause = 1;
    while (true) {
      boolean done = isDone(what, task, pause);
      long mine = (done ? DONE : 0) | (mayStop && stop.isWanted() ? STOP : 0);
      long all = DONE;
      long any = 0;
      for (long theirs : collectives.allGatherLong(mine)) {
        all &= theirs;
        any |= theirs;
      }
      if ((any & STOP) != 0) {
        stop.stop();
        throw stopped(task);
      }
      if (all == DONE) {
        return result(task);
      }
      pause = Math.min(2 * pause, LONGEST_PAUSE_MILLIS);
    }
  }

  private boolean isDone(String what, FutureTask<?> task, long millis) {
    try {
      task.get(millis, TimeUnit.MILLISECONDS);
      return true;
    } catch (TimeoutException e) {
      if (System.nanoTime() - lastSign > limit.toNanos()) {
        throw new IllegalStateException(
            "rank %d: %s has shown no progress for %d s (parallelism.long_work_timeout_seconds)"
                .formatted(collectives.rank(), what, limit.toSeconds()),
            e);
      }
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(what + " was interrupted", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Stopped) {
        return true; // It saw the wish before this rank told the others.
      }
      throw failure(e);
    }
  }

  private static RuntimeException stopped(FutureTask<?> task) {
    try {
      result(task);
    } catch (Stopped e) {
      return e;
    }
    return new Stopped();
  }

  private static <T> T result(FutureTask<T> task) {
    try {
      return task.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    } catch (ExecutionException e) {
      throw failure(e);
    }
  }

  private static RuntimeException failure(ExecutionException e) {
    return switch (e.getCause()) {
      case RuntimeException known -> known;
      case Error error -> throw error;
      default -> new IllegalStateException(e.getCause());
    };
  }
}
