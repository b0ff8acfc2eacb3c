package org.pretrain4j.trainer.parallel.tcp;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.GroupFailure;
import org.pretrain4j.trainer.parallel.ScratchPool;

/**
 * The collectives of a rank that are under way: which bytes have left and come, and what follows
 * from that. Threads of the connections and of the rank meet here, under one lock.
 */
final class TcpExchange {
  private static final Duration FAREWELL = Duration.ofSeconds(10);
  private static final long TURN_NANOS = 50_000_000;

  /** What the group makes of a failure. */
  interface Failures {
    boolean isEmpty();

    /** Keeps the first reason and tells the others. */
    void fail(GroupFailure reason);
  }

  private final int rank;
  private final ReentrantLock lock;
  private final BufferGuard guard;
  private final TcpLinks links;
  private final Failures failures;
  private final TcpOperations operations = new TcpOperations();
  private final ScratchPool pool;
  private final EarlyFrames early;
  private final List<Integer> others;

  /**
   * @param pool and {@code early} of the same lock
   */
  TcpExchange(
      int rank,
      int worldSize,
      ReentrantLock lock,
      TcpLinks links,
      ScratchPool pool,
      EarlyFrames early,
      Failures failures) {
    this.rank = rank;
    this.others = IntStream.range(0, worldSize).filter(peer -> peer != rank).boxed().toList();
    this.pool = pool;
    this.early = early;
    this.lock = lock;
    this.guard = new BufferGuard(lock);
    this.links = links;
    this.failures = failures;
  }

  /** Begins a collective, now or when its turn comes; the lock is held. */
  TcpOperation begin(long sequence, CollectiveCall call, Supplier<List<TcpOperation.Stage>> plan) {
    TcpOperation operation = new TcpOperation(sequence, call, others, plan);
    operations.add(operation);
    takeTurns();
    checkDepartures();
    return operation;
  }

  private void takeTurns() {
    while (failures.isEmpty()) {
      Optional<TcpOperation> next = operations.next();
      if (next.isEmpty()) {
        return;
      }
      begin(next.get());
    }
  }

  private void begin(TcpOperation operation) {
    operation.begin();
    enqueue(operation);
    for (EarlyFrames.Early arrived : early.take(operation.sequence())) {
      MemorySegment target = target(arrived.peer(), arrived.frame(), operation);
      boolean isThere = target != null && target.address() == arrived.memory().address();
      if (target != null) {
        operation.received(arrived.frame().stage(), arrived.peer());
      }
      if (!isThere) {
        if (target != null) {
          target.copyFrom(arrived.bytes());
        }
        early.giveBack(arrived);
      }
    }
    guard.signal();
    advance(operation);
  }

  private void enqueue(TcpOperation operation) {
    Map<Integer, MemorySegment> sends = operation.stage().sends();
    operation.sending(sends.size());
    sends.forEach(
        (peer, bytes) -> {
          Frame frame =
              new Frame(
                  Frame.Kind.DATA,
                  operation.sequence(),
                  operation.stageNumber(),
                  bytes.byteSize(),
                  operation.call().toString());
          links.send(peer, frame, bytes, operation);
        });
  }

  /** Goes on as far as possible; the lock is held, but not while this rank computes. */
  private void advance(TcpOperation operation) {
    while (failures.isEmpty()
        && !operation.done
        && !operation.working
        && operation.isStageComplete()) {
      operation.working = true;
      guard.enter();
      lock.unlock();
      try {
        operation.stage().work().run();
      } finally {
        lock.lock();
        guard.leave();
        operation.working = false;
      }
      operation.stage().scratch().forEach(pool::give);
      if (operation.next()) {
        enqueue(operation);
      } else {
        operation.done = true;
        operations.complete(operation);
        guard.signal();
        takeTurns();
      }
      guard.signal();
    }
  }

  boolean beforeSending() {
    lock.lock();
    try {
      if (failures.isEmpty()) {
        guard.enter();
      }
      return failures.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  void afterSending(TcpOperation operation, boolean sent) {
    release(operation::sent);
    if (sent) {
      lock.lock();
      try {
        advance(operation);
      } finally {
        lock.unlock();
      }
    }
  }

  /** A rank has said that it calls no more than so many collectives. */
  void goodbye(int peer, long collectives) {
    lock.lock();
    try {
      operations.left(peer, collectives);
      checkDepartures();
      guard.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Reads the bytes behind a frame to where they belong. */
  void data(int peer, SocketChannel channel, Frame frame) throws IOException {
    TcpOperation operation;
    EarlyFrames.Early room = null;
    MemorySegment target;
    lock.lock();
    try {
      awaitTurn(frame.sequence());
      operation = operations.begun(frame.sequence());
      if (operation == null && failures.isEmpty()) {
        room = early.room(peer, frame);
      }
      target = operation == null ? null : target(peer, frame, operation);
      if ((room == null && target == null) || !failures.isEmpty()) {
        throw new IOException("the group has failed"); // that failure is on record
      }
      guard.enter();
    } finally {
      lock.unlock();
    }
    try {
      Frame.read(channel, room == null ? target : room.bytes());
    } finally {
      release(() -> {});
    }
    lock.lock();
    try {
      if (room != null) {
        operation = operations.begun(frame.sequence()); // may have begun meanwhile
        if (operation == null) {
          early.keep(room);
          return;
        }
        MemorySegment now = target(peer, frame, operation);
        if (now == null || !failures.isEmpty()) {
          return;
        }
        now.copyFrom(room.bytes());
        early.giveBack(room);
      }
      operation.received(frame.stage(), peer);
      advance(operation);
    } finally {
      lock.unlock();
    }
  }

  /** A turn that is about to come saves the memory of another part. */
  private void awaitTurn(long sequence) throws IOException {
    try {
      guard.awaitWhile(() -> operations.isWaiting(sequence) && failures.isEmpty(), TURN_NANOS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** Where the bytes go; null, and the group has failed, if this rank expects others. */
  private MemorySegment target(int peer, Frame frame, TcpOperation operation) {
    MemorySegment target = operation.target(frame.stage(), peer);
    String call = operation.call().toString();
    if (target != null && frame.text().equals(call) && target.byteSize() == frame.bytes()) {
      return target;
    }
    failures.fail(
        GroupFailure.mismatch(
            frame.sequence(),
            List.of(rank, peer),
            "rank %d called %s, rank %d called %s".formatted(rank, call, peer, frame.text())));
    return null;
  }

  private void release(Runnable then) {
    lock.lock();
    try {
      then.run();
      guard.leave();
    } finally {
      lock.unlock();
    }
  }

  /** Lets all threads that wait look again. */
  void wake() {
    lock.lock();
    try {
      guard.signal();
    } finally {
      lock.unlock();
    }
  }

  private void checkDepartures() {
    if (failures.isEmpty()) {
      operations.departedTooSoon().ifPresent(failures::fail);
    }
  }

  /** Ranks that the operation waits for; the lock is held. */
  List<Integer> missing(TcpOperation operation) {
    return operations.missing(operation);
  }

  /** Frees the memory of a group that has ended well, when all its connections have. */
  void free() {
    lock.lock();
    try {
      if (failures.isEmpty() && operations.departures() == others.size() && operations.isEmpty()) {
        pool.close();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether this rank has ended. */
  boolean hasLeft(int peer) {
    lock.lock();
    try {
      return operations.hasLeft(peer);
    } finally {
      lock.unlock();
    }
  }

  /** Waits until so many ranks have ended, not for ever. */
  void awaitGoodbyes(int ranks) throws InterruptedException {
    lock.lock();
    try {
      guard.awaitWhile(
          () -> operations.departures() < ranks && failures.isEmpty(), FAREWELL.toNanos());
    } finally {
      lock.unlock();
    }
  }

  /** Waits until the operation may have gone on. */
  void pause(TcpOperation operation, long nanos) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      if (!operation.done && failures.isEmpty()) {
        guard.awaitChange(nanos);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Waits until no thread touches a buffer any more; a stuck peer must not keep this rank. */
  void settle() {
    guard.settle(links::disconnect);
  }
}
