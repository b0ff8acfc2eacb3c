package org.pretrain4j.trainer.parallel;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongFunction;

/**
 * What the engines between processes have in common: collectives are numbered in the order of their
 * calls, a rank waits for one no longer than the timeout, every error names the collective and the
 * ranks at fault, and the first failure of any rank ends the group on all of them.
 *
 * @param <O> a collective under way
 */
public abstract class ProcessCollectives<O extends ProcessCollectives.Operation>
    implements Collectives {

  /**
   * Collectives of this size or more take turns where they need memory besides their buffers, so
   * many at a time: one keeps the connections busy while the next one begins.
   */
  public static final int UNDER_WAY = 2;

  /** A collective under way. */
  public abstract static class Operation {
    private final long sequence;
    private final CollectiveCall call;

    /**
     * @param sequence its number, from 0
     */
    protected Operation(long sequence, CollectiveCall call) {
      this.sequence = sequence;
      this.call = call;
    }

    public final long sequence() {
      return sequence;
    }

    public final CollectiveCall call() {
      return call;
    }

    /** Such as {@code collective #3 barrier()}. */
    public final String place() {
      return call.at(sequence);
    }
  }

  /** Guards what an engine shares between its threads. */
  protected final ReentrantLock lock = new ReentrantLock();

  private final int rank;
  private final int worldSize;
  private final Duration timeout;
  private final AtomicReference<GroupFailure> failure = new AtomicReference<>();
  private volatile long begun;

  /**
   * @param timeout the longest that a rank waits in one collective for the others
   */
  protected ProcessCollectives(int rank, int worldSize, Duration timeout) {
    this.rank = rank;
    this.worldSize = worldSize;
    this.timeout = timeout;
  }

  /**
   * Starts a collective on buffers; the lock is held.
   *
   * @param input the only buffer where there is one; null for a barrier
   * @param output null where there is no second buffer
   */
  protected abstract O start(
      long sequence, CollectiveCall call, FlatBuffer input, FlatBuffer output);

  /** All ranks' values, equally many of each, as a collective of its own. */
  protected abstract long[] gather(CollectiveCall call, long... values);

  /**
   * Sends a message of a length that all ranks know.
   *
   * @param bytes the message on the root
   */
  protected abstract byte[] broadcast(CollectiveCall call, byte[] bytes, int length);

  /** Whether the collective is complete; drives it on. */
  protected abstract boolean isDone(O operation, int turn);

  /** Waits a little, at most so long, for the collective to go on. */
  protected abstract void pause(O operation, int turn, long nanos) throws InterruptedException;

  /** Who did not come; {@code waited} says where this rank waited how long. */
  protected abstract GroupFailure timedOut(O operation, String waited);

  /** Tells the other ranks why the group has ended; called once. */
  protected abstract void tell(GroupFailure reason);

  /** Called before a failure is thrown: afterwards the caller may free its buffers. */
  protected void settle() {}

  @Override
  public final int rank() {
    return rank;
  }

  @Override
  public final int worldSize() {
    return worldSize;
  }

  protected final Duration timeout() {
    return timeout;
  }

  /** Collectives that this rank has begun; also the number of its next one. */
  protected final long begun() {
    return begun;
  }

  @Override
  public final Pending allReduce(FlatBuffer buffer, Reduction reduction) {
    return pending(CollectiveCall.allReduce(buffer, reduction), buffer, null);
  }

  @Override
  public final Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
    return pending(CollectiveCall.reduceScatter(input, output, worldSize), input, output);
  }

  @Override
  public final Pending allGather(FlatBuffer input, FlatBuffer output) {
    return pending(CollectiveCall.allGather(input, output, worldSize), input, output);
  }

  @Override
  public final Pending broadcast(FlatBuffer buffer, int root) {
    return pending(CollectiveCall.broadcast(buffer, root, worldSize), buffer, null);
  }

  @Override
  public void barrier() {
    pending(CollectiveCall.barrier(), null, null).await();
  }

  @Override
  public final long[] allGatherLongs(long... values) {
    return gather(CollectiveCall.allGatherLongs(values.length), values);
  }

  @Override
  public final byte[] broadcastBytes(byte[] bytes, int root) {
    CollectiveCall call = CollectiveCall.broadcastBytes(root, worldSize);
    long length = gather(call, rank == root ? bytes.length : 0)[root];
    return broadcast(call, bytes, Math.toIntExact(length));
  }

  private Pending pending(CollectiveCall call, FlatBuffer input, FlatBuffer output) {
    O operation = begin(call, sequence -> start(sequence, call, input, output));
    return new Pending() {
      @Override
      public void await() {
        ProcessCollectives.this.await(operation);
      }

      @Override
      public void follow() {
        ProcessCollectives.this.follow(operation);
      }
    };
  }

  /** Gives a collective its number and starts it. */
  protected final O begin(CollectiveCall call, LongFunction<O> start) {
    lock.lock();
    try {
      long sequence = begun;
      requireNoFailure(call.at(sequence));
      begun = sequence + 1;
      return start.apply(sequence);
    } finally {
      lock.unlock();
    }
  }

  /** Returns when the collective is complete; throws if it cannot be. */
  protected final void await(O operation) {
    long start = System.nanoTime();
    try {
      for (int turn = 0; !isDone(operation, turn); turn++) {
        requireNoFailure(operation.place());
        long left = timeout.toNanos() - (System.nanoTime() - start);
        if (left <= 0) {
          fail(timedOut(operation, waited(operation.place())));
          requireNoFailure(operation.place());
        }
        if (Thread.currentThread().isInterrupted()) {
          throw new InterruptedException();
        }
        pause(operation, turn, left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      abort("its thread was interrupted");
      requireNoFailure(operation.place());
    }
  }

  /** As {@link Pending#follow()}. */
  protected void follow(O operation) {
    await(operation);
  }

  /** Such as {@code rank 0 waited 3.0 s in collective #1 barrier()}. */
  protected final String waited(String place) {
    return "rank %d waited %s s in %s".formatted(rank, timeout.toMillis() / 1000.0, place);
  }

  /** Why the group has ended; null while it has not. */
  protected final GroupFailure failure() {
    return failure.get();
  }

  /** Keeps a failure, if it is the first; says whether it was. */
  protected final boolean keep(GroupFailure reason) {
    return failure.compareAndSet(null, reason);
  }

  /** Keeps the first reason and tells the others. */
  protected final void fail(GroupFailure reason) {
    if (keep(reason)) {
      tell(reason);
    }
  }

  /** Throws if the group has ended. */
  protected final void requireNoFailure(String place) {
    if (failure.get() != null) {
      settle();
      throw failure.get().seenBy(rank, place);
    }
  }

  @Override
  public final void abort(String reason) {
    fail(GroupFailure.failed(rank, reason));
  }
}
