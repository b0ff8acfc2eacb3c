package org.pretrain4j.trainer.parallel;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * All ranks as threads of this JVM. A collective is started by its last rank to come; from then on
 * every thread that waits for it takes chunks of the work until none is left. Sums are made in the
 * order of ranks, so that the same inputs give the same bits, however the threads run.
 *
 * <pre>{@code
 * InProcessGroup.run(4, Duration.ofMinutes(1), collectives -> {
 *   collectives.allReduce(gradients, Reduction.SUM).await();
 * });
 * }</pre>
 */
public final class InProcessGroup {
  final InProcessRank[] ranks;
  final Duration timeout;

  /** Guards what is mutable here and in operations. May be held when {@link #memory} is taken. */
  final ReentrantLock lock = new ReentrantLock();

  /**
   * Read-locked while a thread works on buffers of other ranks. Who declares a failure write-locks
   * it: afterwards nobody touches them any more, and every rank may free its own.
   */
  final ReadWriteLock memory = new ReentrantReadWriteLock();

  /** Operations that still wait for ranks, by sequence number. */
  final Map<Long, SharedOperation> gathering = new HashMap<>();

  /** Operations that are ready, but not done. */
  final List<SharedOperation> working = new ArrayList<>();

  volatile GroupFailure failure;

  /**
   * A group whose ranks have not begun.
   *
   * @param timeout the longest that a rank waits in one collective for the others
   */
  public InProcessGroup(int worldSize, Duration timeout) {
    if (worldSize < 1) {
      throw new IllegalArgumentException("a world of " + worldSize + " ranks");
    }
    this.timeout = Objects.requireNonNull(timeout, "timeout");
    ranks = new InProcessRank[worldSize];
    for (int rank = 0; rank < worldSize; rank++) {
      ranks[rank] = new InProcessRank(this, rank);
    }
  }

  /** What belongs to one rank; one thread may use it. */
  public Collectives rank(int rank) {
    Collectives member = ranks[Objects.checkIndex(rank, ranks.length)];
    return ranks.length == 1 ? new SoloCollectives() : member;
  }

  /**
   * Runs the body once for each rank, as {@link RankThreads#run} does. If one throws, the others
   * are told.
   */
  public static void run(int worldSize, Duration timeout, RankBody body) throws Exception {
    InProcessGroup group = new InProcessGroup(worldSize, timeout);
    RankThreads.run(
        0,
        worldSize,
        () ->
            group.fail(
                new GroupFailure(
                    CollectiveException.Kind.FAILED, List.of(), "the run was interrupted")),
        rank -> guard(group.rank(rank), body));
  }

  private static void guard(Collectives rank, RankBody body) throws Exception {
    try {
      body.run(rank);
    } catch (Throwable e) { // an Error of one rank must not leave the others waiting
      rank.abort(e.toString());
      throw e;
    } finally {
      rank.close();
    }
  }

  void fail(GroupFailure first) {
    lock.lock();
    memory.writeLock().lock();
    try {
      if (failure == null) {
        failure = first;
      }
      gathering.values().forEach(operation -> operation.changed.signalAll());
      working.forEach(operation -> operation.changed.signalAll());
    } finally {
      memory.writeLock().unlock();
      lock.unlock();
    }
  }
}
