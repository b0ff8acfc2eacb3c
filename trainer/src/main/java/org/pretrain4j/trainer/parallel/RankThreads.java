package org.pretrain4j.trainer.parallel;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Ranks of a run that are threads of this process. */
public final class RankThreads {
  /** What one of them does. */
  @FunctionalInterface
  public interface Body {
    /** Runs to the end; one that fails must tell the other ranks, who may wait for it. */
    void run(int rank) throws Exception;
  }

  /** A rank that ends early but in good order: whatever else is thrown says more. */
  public static class Ended extends RuntimeException {
    private static final long serialVersionUID = 1L;

    protected Ended(String message) {
      super(message);
    }
  }

  private RankThreads() {}

  /**
   * Runs the body once for each rank, each in a platform thread of its own (a single one in the
   * calling thread, as MPI wants to end where it began), and returns when all have ended. What the
   * first one threw is thrown here, unless it only says that another rank failed or that it has
   * ended early, with the failures of the others that it did not cause suppressed in it.
   *
   * @param first rank of this process
   * @param count ranks of this process
   * @param interrupted called if the waiting thread is, before the ranks are
   */
  public static void run(int first, int count, Runnable interrupted, Body body) throws Exception {
    if (count == 1) {
      body.run(first);
      return;
    }
    List<Throwable> thrown = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int rank = first; rank < first + count; rank++) {
      int own = rank;
      threads.add(Thread.ofPlatform().name("rank-" + rank).start(() -> guard(own, body, thrown)));
    }
    try {
      for (Thread thread : threads) {
        thread.join();
      }
    } catch (InterruptedException e) {
      interrupted.run();
      threads.forEach(Thread::interrupt);
      throw e;
    }
    if (thrown.isEmpty()) {
      return;
    }
    Throwable cause = thrown.stream().min(Comparator.comparingInt(RankThreads::order)).get();
    thrown.stream().filter(e -> e != cause && order(e) == 0).forEach(cause::addSuppressed);
    switch (cause) {
      case Exception exception -> throw exception;
      case Error error -> throw error;
      default -> throw new IllegalStateException(cause);
    }
  }

  /** What says most comes first. */
  private static int order(Throwable e) {
    return switch (e) {
      case Ended ended -> 3;
      case CollectiveException failure -> failure.isOwnFault() ? 1 : 2;
      default -> 0;
    };
  }

  private static void guard(int rank, Body body, List<Throwable> thrown) {
    try {
      body.run(rank);
    } catch (Throwable e) { // an Error of one rank must be known, too
      synchronized (thrown) {
        thrown.add(e);
      }
    }
  }
}
