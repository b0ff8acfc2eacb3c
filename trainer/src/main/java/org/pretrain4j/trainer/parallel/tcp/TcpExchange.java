package org.pretrain4j.trainer.parallel.tcp;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.GroupFailure;

/**
 * The collectives of a rank that are under way: which bytes have left and come, and what follows
 * from that. Threads of the connections and of the rank meet here, under one lock.
 */
final class TcpExchange {
  private static final Duration FAREWELL = Duration.ofSeconds(10);
  private static final long GRACE_NANOS = 500_000_000;

  /** What the group makes of a failure. */
  interface Failures {
    boolean isEmpty();

    /** Keeps the first reason and tells the others. */
    void fail(GroupFailure reason);
  }

  /** A frame that came before this rank called its collective. */
  private record Early(int peer, Frame frame, MemorySegment bytes) {}

  private final int rank;
  private final ReentrantLock lock;
  private final Condition changed;
  private final TcpLinks links;
  private final Failures failures;
  private final Map<Long, TcpOperation> active = new TreeMap<>();
  private final Map<Long, List<Early>> early = new HashMap<>();
  private final Map<Integer, Long> gone = new TreeMap<>();

  /** Threads that read into or write from buffers right now. */
  private int touching;

  TcpExchange(int rank, ReentrantLock lock, TcpLinks links, Failures failures) {
    this.rank = rank;
    this.lock = lock;
    this.changed = lock.newCondition();
    this.links = links;
    this.failures = failures;
  }

  /** Begins a collective; the lock is held. */
  TcpOperation begin(long sequence, CollectiveCall call, List<TcpOperation.Stage> stages) {
    TcpOperation operation = new TcpOperation(sequence, call, stages);
    active.put(sequence, operation);
    enqueue(operation);
    List<Early> arrived = early.remove(sequence);
    if (arrived != null) {
      for (Early frame : arrived) {
        MemorySegment target = target(frame.peer(), frame.frame(), operation);
        if (target != null) {
          target.copyFrom(frame.bytes());
          operation.received(frame.frame().stage(), frame.peer());
        }
      }
    }
    checkGone();
    advance(operation);
    return operation;
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
      touching++;
      lock.unlock();
      try {
        operation.stage().work().run();
      } finally {
        lock.lock();
        touching--;
        operation.working = false;
      }
      if (operation.next()) {
        enqueue(operation);
      } else {
        operation.done = true;
        active.remove(operation.sequence());
      }
      changed.signalAll();
    }
  }

  boolean beforeSending() {
    lock.lock();
    try {
      if (failures.isEmpty()) {
        touching++;
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
      gone.put(peer, collectives);
      checkGone();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Reads the bytes behind a frame to where they belong. */
  void data(int peer, SocketChannel channel, Frame frame) throws IOException {
    TcpOperation operation;
    MemorySegment target;
    lock.lock();
    try {
      operation = active.get(frame.sequence());
      target =
          operation == null
              ? Arena.ofAuto().allocate(frame.bytes())
              : target(peer, frame, operation);
      if (target == null || !failures.isEmpty()) {
        throw new IOException("the group has failed"); // that failure is on record
      }
      touching++;
    } finally {
      lock.unlock();
    }
    try {
      Frame.read(channel, target);
    } finally {
      release(() -> {});
    }
    lock.lock();
    try {
      if (operation == null) {
        operation = active.get(frame.sequence()); // may have been called meanwhile
        if (operation == null) {
          early
              .computeIfAbsent(frame.sequence(), n -> new ArrayList<>())
              .add(new Early(peer, frame, target));
          return;
        }
        MemorySegment now = target(peer, frame, operation);
        if (now == null || !failures.isEmpty()) {
          return;
        }
        now.copyFrom(target);
      }
      operation.received(frame.stage(), peer);
      advance(operation);
    } finally {
      lock.unlock();
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
      touching--;
      then.run();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Lets all threads that wait look again. */
  void wake() {
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void checkGone() {
    gone.forEach(
        (peer, number) -> {
          if (failures.isEmpty()
              && active.values().stream()
                  .anyMatch(o -> o.sequence() >= number && o.missing().contains(peer))) {
            failures.fail(GroupFailure.left(peer, number));
          }
        });
  }

  /** Whether this rank has ended. */
  boolean hasLeft(int peer) {
    lock.lock();
    try {
      return gone.containsKey(peer);
    } finally {
      lock.unlock();
    }
  }

  /** Waits until so many ranks have ended, not for ever. */
  void awaitGoodbyes(int ranks) throws InterruptedException {
    lock.lock();
    try {
      long nanos = FAREWELL.toNanos();
      while (gone.size() < ranks && failures.isEmpty() && nanos > 0) {
        nanos = changed.awaitNanos(nanos);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Waits until the operation may have gone on. */
  void pause(TcpOperation operation, long nanos) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      if (!operation.done && failures.isEmpty()) {
        changed.awaitNanos(nanos);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Waits until no thread touches a buffer any more. */
  void settle() {
    lock.lock();
    try {
      long end = System.nanoTime() + FAREWELL.toNanos();
      while (touching > 0 && System.nanoTime() < end) {
        changed.awaitNanos(GRACE_NANOS);
        if (touching > 0) {
          links.disconnect(); // a stuck peer must not keep this rank
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      lock.unlock();
    }
  }
}
