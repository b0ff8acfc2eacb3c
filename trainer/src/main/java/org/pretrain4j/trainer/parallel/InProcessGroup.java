package org.pretrain4j.trainer.parallel;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.Condition;
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
  /** Why the group is of no more use. */
  private record Failure(CollectiveException.Kind kind, List<Integer> culprits, String message) {}

  private final Rank[] ranks;
  private final Duration timeout;

  /** Guards what is mutable here and in operations. May be held when {@link #memory} is taken. */
  private final ReentrantLock lock = new ReentrantLock();

  /**
   * Read-locked while a thread works on buffers of other ranks. Who declares a failure write-locks
   * it: afterwards nobody touches them any more, and every rank may free its own.
   */
  private final ReadWriteLock memory = new ReentrantReadWriteLock();

  /** Operations that still wait for ranks, by sequence number. */
  private final Map<Long, SharedOperation> gathering = new HashMap<>();

  /** Operations that are ready, but not done. */
  private final List<SharedOperation> working = new ArrayList<>();

  private volatile Failure failure;

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
    ranks = new Rank[worldSize];
    for (int rank = 0; rank < worldSize; rank++) {
      ranks[rank] = new Rank(rank);
    }
  }

  /** What belongs to one rank; one thread may use it. */
  public Collectives rank(int rank) {
    Collectives member = ranks[Objects.checkIndex(rank, ranks.length)];
    return ranks.length == 1 ? new SoloCollectives() : member;
  }

  /**
   * Runs the body once for each rank, each in a platform thread of its own, and returns when all
   * have ended. If one throws, the others are told; what the first one threw is thrown here, with
   * the failures of the others that it did not cause suppressed in it.
   */
  public static void run(int worldSize, Duration timeout, RankBody body) throws Exception {
    InProcessGroup group = new InProcessGroup(worldSize, timeout);
    List<Throwable> thrown = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (Rank rank : group.ranks) {
      threads.add(
          Thread.ofPlatform().name("rank-" + rank.rank).start(() -> guard(rank, body, thrown)));
    }
    try {
      for (Thread thread : threads) {
        thread.join();
      }
    } catch (InterruptedException e) {
      group.fail(
          new Failure(CollectiveException.Kind.FAILED, List.of(), "the run was interrupted"));
      threads.forEach(Thread::interrupt);
      throw e;
    }
    if (thrown.isEmpty()) {
      return;
    }
    List<Throwable> causes =
        thrown.stream().filter(e -> !(e instanceof CollectiveException)).toList();
    Throwable first = causes.isEmpty() ? thrown.getFirst() : causes.getFirst();
    causes.stream().filter(e -> e != first).forEach(first::addSuppressed);
    switch (first) {
      case Exception exception -> throw exception;
      case Error error -> throw error;
      default -> throw new IllegalStateException(first);
    }
  }

  private static void guard(Collectives rank, RankBody body, List<Throwable> thrown) {
    try {
      body.run(rank);
    } catch (Throwable e) { // an Error of one rank must not leave the others waiting
      synchronized (thrown) {
        thrown.add(e);
      }
      rank.abort(e.toString());
    } finally {
      rank.close();
    }
  }

  private void fail(Failure first) {
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

  private CollectiveException exception(int rank, SharedOperation operation) {
    Failure reason = failure;
    return new CollectiveException(
        reason.kind(),
        reason.culprits(),
        "%s (noticed by rank %d in %s)"
            .formatted(reason.message(), rank, operation.call.at(operation.sequence)));
  }

  /** One rank's view of the group. */
  private final class Rank implements Collectives {
    private final int rank;

    /** Collectives that this rank has begun; also the sequence number of its next one. */
    private long begun;

    private boolean left;

    Rank(int rank) {
      this.rank = rank;
    }

    @Override
    public int rank() {
      return rank;
    }

    @Override
    public int worldSize() {
      return ranks.length;
    }

    @Override
    public Pending allReduce(FlatBuffer buffer, Reduction reduction) {
      return pending(post(CollectiveCall.allReduce(buffer, reduction), buffer, null, 0, null));
    }

    @Override
    public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
      CollectiveCall call = CollectiveCall.reduceScatter(input, output, ranks.length);
      return pending(post(call, input, output, 0, null));
    }

    @Override
    public Pending allGather(FlatBuffer input, FlatBuffer output) {
      CollectiveCall call = CollectiveCall.allGather(input, output, ranks.length);
      return pending(post(call, input, output, 0, null));
    }

    @Override
    public Pending broadcast(FlatBuffer buffer, int root) {
      CollectiveCall call = CollectiveCall.broadcast(buffer, root, ranks.length);
      return pending(post(call, buffer, null, 0, null));
    }

    @Override
    public void barrier() {
      await(post(CollectiveCall.barrier(), null, null, 0, null));
    }

    @Override
    public byte[] broadcastBytes(byte[] bytes, int root) {
      byte[] message = rank == root ? bytes.clone() : null;
      CollectiveCall call = CollectiveCall.broadcastBytes(root, ranks.length);
      SharedOperation operation = post(call, null, null, 0, message);
      await(operation);
      return operation.message.clone();
    }

    @Override
    public long[] allGatherLong(long value) {
      SharedOperation operation = post(CollectiveCall.allGatherLong(), null, null, value, null);
      await(operation);
      return operation.values.clone();
    }

    @Override
    public void abort(String reason) {
      fail(
          new Failure(
              CollectiveException.Kind.FAILED,
              List.of(rank),
              "rank " + rank + " failed: " + reason));
    }

    @Override
    public void close() {
      lock.lock();
      try {
        if (left) {
          return;
        }
        left = true;
        boolean needed =
            working.stream().anyMatch(operation -> !operation.done)
                || gathering.keySet().stream().anyMatch(sequence -> sequence >= begun)
                || gathering.values().stream().anyMatch(o -> !o.missing().contains(rank));
        if (needed && failure == null) {
          fail(departed());
        }
      } finally {
        lock.unlock();
      }
    }

    private Failure departed() {
      return new Failure(
          CollectiveException.Kind.LEFT,
          List.of(rank),
          "rank " + rank + " left the group after " + begun + " collectives, others need it still");
    }

    private Pending pending(SharedOperation operation) {
      return () -> await(operation);
    }

    private SharedOperation post(
        CollectiveCall call, FlatBuffer input, FlatBuffer output, long value, byte[] message) {
      lock.lock();
      try {
        if (left) {
          throw new IllegalStateException("rank " + rank + " has closed its collectives");
        }
        long sequence = begun;
        SharedOperation operation =
            gathering.computeIfAbsent(
                sequence,
                n -> new SharedOperation(n, call, rank, ranks.length, lock.newCondition()));
        if (failure == null && !operation.call.equals(call)) {
          fail(mismatch(operation, call));
        }
        if (failure == null) {
          for (Rank other : ranks) {
            if (other.left && other.begun <= sequence) {
              fail(other.departed());
              break;
            }
          }
        }
        if (failure != null) {
          throw exception(rank, operation);
        }
        begun++;
        operation.arrive(rank);
        operation.inputs[rank] = input;
        operation.outputs[rank] = output;
        if (operation.values != null) {
          operation.values[rank] = value;
        }
        if (message != null) {
          operation.message = message;
        }
        if (operation.posted == ranks.length) {
          gathering.remove(sequence);
          operation.ready = true;
          operation.done = operation.isEmpty();
          if (!operation.done) {
            working.add(operation);
          }
          operation.changed.signalAll();
        }
        return operation;
      } finally {
        lock.unlock();
      }
    }

    private Failure mismatch(SharedOperation operation, CollectiveCall call) {
      return new Failure(
          CollectiveException.Kind.MISMATCH,
          List.of(Math.min(rank, operation.firstRank), Math.max(rank, operation.firstRank)),
          "the ranks differ in collective #%d: rank %d called %s, rank %d called %s"
              .formatted(operation.sequence, operation.firstRank, operation.call, rank, call));
    }

    private void await(SharedOperation operation) {
      if (operation.done) {
        return;
      }
      waitUntil(operation, false);
      help(operation);
      waitUntil(operation, true);
    }

    /** Takes chunks until none is left. */
    private void help(SharedOperation operation) {
      RankSum scratch = null;
      long chunk;
      while ((chunk = operation.takeChunk()) >= 0) {
        memory.readLock().lock();
        try {
          if (failure != null) {
            return;
          }
          if (scratch == null) {
            scratch = operation.scratch();
          }
          operation.work(chunk, scratch);
        } finally {
          memory.readLock().unlock();
        }
        if (operation.finishChunk()) {
          lock.lock();
          try {
            operation.done = true;
            working.remove(operation);
            operation.changed.signalAll();
          } finally {
            lock.unlock();
          }
        }
      }
    }

    /** Waits until the operation is done, or at least ready. */
    private void waitUntil(SharedOperation operation, boolean done) {
      lock.lock();
      try {
        long nanos = timeout.toNanos();
        Condition changed = operation.changed;
        while (!(operation.done || (operation.ready && !done))) {
          if (failure == null && nanos <= 0) {
            fail(timedOut(operation));
          }
          if (failure != null) {
            throw exception(rank, operation);
          }
          nanos = changed.awaitNanos(nanos);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        abort("its thread was interrupted");
        throw exception(rank, operation);
      } finally {
        lock.unlock();
      }
    }

    private Failure timedOut(SharedOperation operation) {
      List<Integer> missing = operation.missing();
      StringBuilder text = new StringBuilder();
      text.append("rank ").append(rank).append(" waited ").append(timeout.toNanos() / 1e9);
      text.append(" s in ").append(operation.call.at(operation.sequence));
      text.append(missing.isEmpty() ? ": all ranks came, but the work did not end" : ", missing: ");
      for (int i = 0; i < Math.min(8, missing.size()); i++) {
        Rank other = ranks[missing.get(i)];
        text.append(i == 0 ? "" : ", ").append("rank ").append(other.rank);
        text.append(" (begun ").append(other.begun).append(" collectives)");
      }
      if (missing.size() > 8) {
        text.append(" and ").append(missing.size() - 8).append(" more");
      }
      return new Failure(
          CollectiveException.Kind.TIMEOUT, missing, text.toString().replace(".0 s in", " s in"));
    }
  }
}
