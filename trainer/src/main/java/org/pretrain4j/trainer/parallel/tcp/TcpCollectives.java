package org.pretrain4j.trainer.parallel.tcp;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.Reduction;
import org.pretrain4j.trainer.parallel.cluster.Store;

/** One rank a process, with a connection to every other. */
public final class TcpCollectives implements Collectives {
  private static final Logger LOG = LogManager.getLogger();
  private static final Duration FAREWELL = Duration.ofSeconds(10);
  private static final long GRACE_NANOS = 500_000_000;

  /** Why the group is of no more use. */
  private record Failure(CollectiveException.Kind kind, List<Integer> culprits, String message) {}

  /** What a frame waits for in a peer's queue; without an operation it is a note. */
  private record Outgoing(Frame frame, MemorySegment bytes, TcpOperation operation) {}

  /** A frame that came before this rank called its collective. */
  private record Early(int peer, Frame frame, MemorySegment bytes) {}

  private final int rank;
  private final int worldSize;
  private final Duration timeout;
  private final TcpPlan plan;
  private final Map<Integer, SocketChannel> channels;
  private final Map<Integer, BlockingQueue<Outgoing>> queues = new TreeMap<>();
  private final List<Thread> senders = new ArrayList<>();
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Map<Long, TcpOperation> active = new TreeMap<>();
  private final Map<Long, List<Early>> early = new HashMap<>();
  private final Map<Integer, Long> gone = new TreeMap<>();
  private long begun;
  private boolean closed;

  /** Threads that read into or write from buffers right now. */
  private int touching;

  private volatile Failure failure;

  private TcpCollectives(
      Map<Integer, SocketChannel> channels, int rank, int worldSize, Duration timeout) {
    this.channels = channels;
    this.rank = rank;
    this.worldSize = worldSize;
    this.timeout = timeout;
    plan = new TcpPlan(rank, worldSize);
  }

  /**
   * Connects to all other ranks.
   *
   * @param store that all ranks share; used to find each other only
   * @param timeout the longest that a rank waits in one collective for the others
   */
  public static TcpCollectives join(Store store, int rank, int worldSize, Duration timeout) {
    Map<Integer, SocketChannel> channels = TcpMesh.connect(store, rank, worldSize, timeout);
    TcpCollectives collectives = new TcpCollectives(channels, rank, worldSize, timeout);
    collectives.start();
    return collectives;
  }

  private void start() {
    channels.forEach(
        (peer, channel) -> {
          BlockingQueue<Outgoing> queue = new LinkedBlockingQueue<>();
          queues.put(peer, queue);
          senders.add(
              Thread.ofVirtual().name("send-" + peer).start(() -> send(peer, channel, queue)));
          Thread.ofVirtual().name("receive-" + peer).start(() -> receive(peer, channel));
        });
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int worldSize() {
    return worldSize;
  }

  @Override
  public Pending allReduce(FlatBuffer buffer, Reduction reduction) {
    return pending(
        begin(CollectiveCall.allReduce(buffer, reduction), plan.allReduce(buffer, reduction)));
  }

  @Override
  public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
    CollectiveCall call = CollectiveCall.reduceScatter(input, output, worldSize);
    return pending(begin(call, plan.reduceScatter(input, output)));
  }

  @Override
  public Pending allGather(FlatBuffer input, FlatBuffer output) {
    CollectiveCall call = CollectiveCall.allGather(input, output, worldSize);
    return pending(begin(call, plan.allGather(input.segment(), output.segment())));
  }

  @Override
  public Pending broadcast(FlatBuffer buffer, int root) {
    CollectiveCall call = CollectiveCall.broadcast(buffer, root, worldSize);
    return pending(begin(call, plan.broadcast(buffer.segment(), root)));
  }

  @Override
  public void barrier() {
    MemorySegment nothing = MemorySegment.NULL;
    await(begin(CollectiveCall.barrier(), plan.allGather(nothing, nothing)));
  }

  @Override
  public long[] allGatherLong(long value) {
    return gather(CollectiveCall.allGatherLong(), value);
  }

  private long[] gather(CollectiveCall call, long value) {
    MemorySegment mine = Arena.ofAuto().allocateFrom(ValueLayout.JAVA_LONG, value);
    MemorySegment all = Arena.ofAuto().allocate(ValueLayout.JAVA_LONG, worldSize);
    await(begin(call, plan.allGather(mine, all)));
    return all.toArray(ValueLayout.JAVA_LONG);
  }

  @Override
  public byte[] broadcastBytes(byte[] bytes, int root) {
    CollectiveCall call = CollectiveCall.broadcastBytes(root, worldSize);
    long length = gather(call, rank == root ? bytes.length : 0)[root];
    MemorySegment message = Arena.ofAuto().allocate(length);
    if (rank == root) {
      message.copyFrom(MemorySegment.ofArray(bytes));
    }
    await(begin(call, plan.broadcast(message, root)));
    return message.toArray(ValueLayout.JAVA_BYTE);
  }

  private TcpOperation begin(CollectiveCall call, List<TcpOperation.Stage> stages) {
    lock.lock();
    try {
      TcpOperation operation = new TcpOperation(begun, call, stages);
      requireNoFailure(operation);
      begun++;
      active.put(operation.sequence, operation);
      enqueue(operation);
      List<Early> arrived = early.remove(operation.sequence);
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
    } finally {
      lock.unlock();
    }
  }

  private void enqueue(TcpOperation operation) {
    Map<Integer, MemorySegment> sends = operation.stage().sends();
    operation.sending(sends.size());
    sends.forEach(
        (peer, bytes) -> {
          Frame frame =
              new Frame(
                  Frame.Kind.DATA,
                  operation.sequence,
                  operation.stageNumber(),
                  bytes.byteSize(),
                  operation.call.toString());
          queues.get(peer).add(new Outgoing(frame, bytes, operation));
        });
  }

  /** Goes on as far as possible; the lock is held, but not while this rank computes. */
  private void advance(TcpOperation operation) {
    while (failure == null
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
        active.remove(operation.sequence);
      }
      changed.signalAll();
    }
  }

  private Pending pending(TcpOperation operation) {
    return () -> await(operation);
  }

  private void await(TcpOperation operation) {
    lock.lock();
    try {
      long nanos = timeout.toNanos();
      while (!operation.done) {
        if (failure == null && nanos <= 0) {
          fail(timedOut(operation));
        }
        requireNoFailure(operation);
        nanos = changed.awaitNanos(nanos);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      abort("its thread was interrupted");
      requireNoFailure(operation);
    } finally {
      lock.unlock();
    }
  }

  private Failure timedOut(TcpOperation operation) {
    List<Integer> missing = operation.missing();
    String names =
        missing.stream().limit(8).map(peer -> "rank " + peer).collect(Collectors.joining(", "));
    String more = missing.size() > 8 ? " and " + (missing.size() - 8) + " more" : "";
    return new Failure(
        CollectiveException.Kind.TIMEOUT,
        missing,
        "rank %d waited %s s in %s, missing: %s%s"
            .formatted(
                rank,
                timeout.toMillis() / 1000.0,
                operation.call.at(operation.sequence),
                missing.isEmpty() ? "nobody, but a connection is stuck" : names,
                more));
  }

  private void send(int peer, SocketChannel channel, BlockingQueue<Outgoing> queue) {
    try {
      while (true) {
        Outgoing next = queue.take();
        boolean data = next.operation() != null;
        if (data && !touch()) {
          continue;
        }
        try {
          next.frame().write(channel);
          Frame.write(channel, next.bytes());
        } finally {
          if (data) {
            release(next.operation()::sent);
          }
        }
        if (data) {
          lock.lock();
          try {
            advance(next.operation());
          } finally {
            lock.unlock();
          }
        } else {
          channel.shutdownOutput();
          return;
        }
      }
    } catch (InterruptedException e) {
      LOG.trace("sender to rank {} ends", peer);
    } catch (IOException e) {
      // Its last words may be here already, and say more than a broken pipe.
      LockSupport.parkNanos(GRACE_NANOS);
      lost(peer, e);
    }
  }

  private void receive(int peer, SocketChannel channel) {
    try {
      while (true) {
        Frame frame = Frame.read(channel);
        switch (frame.kind()) {
          case DATA -> receive(peer, channel, frame);
          case GOODBYE -> {
            lock.lock();
            try {
              gone.put(peer, frame.sequence());
              checkGone();
              changed.signalAll();
            } finally {
              lock.unlock();
            }
            return;
          }
          case ABORT -> {
            String[] lines = frame.text().split("\n", 3);
            List<Integer> culprits =
                lines[1].isEmpty()
                    ? List.of()
                    : List.of(lines[1].split(" ")).stream().map(Integer::valueOf).toList();
            keep(new Failure(CollectiveException.Kind.valueOf(lines[0]), culprits, lines[2]));
            return;
          }
        }
      }
    } catch (IOException e) {
      lost(peer, e);
    }
  }

  private void receive(int peer, SocketChannel channel, Frame frame) throws IOException {
    TcpOperation operation;
    MemorySegment target;
    lock.lock();
    try {
      operation = active.get(frame.sequence());
      target =
          operation == null
              ? Arena.ofAuto().allocate(frame.bytes())
              : target(peer, frame, operation);
      if (target == null || failure != null) {
        return; // a failure is on record
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
        if (now == null || failure != null) {
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
    String call = operation.call.toString();
    if (target != null && frame.text().equals(call) && target.byteSize() == frame.bytes()) {
      return target;
    }
    fail(
        new Failure(
            CollectiveException.Kind.MISMATCH,
            List.of(Math.min(rank, peer), Math.max(rank, peer)),
            "the ranks differ in collective #%d: rank %d called %s, rank %d called %s"
                .formatted(frame.sequence(), rank, call, peer, frame.text())));
    return null;
  }

  private boolean touch() {
    lock.lock();
    try {
      if (failure == null) {
        touching++;
      }
      return failure == null;
    } finally {
      lock.unlock();
    }
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

  private void checkGone() {
    gone.forEach(
        (peer, number) -> {
          if (failure == null
              && active.values().stream()
                  .anyMatch(o -> o.sequence >= number && o.missing().contains(peer))) {
            fail(
                new Failure(
                    CollectiveException.Kind.LEFT,
                    List.of(peer),
                    "rank %d left the group after %d collectives, others need it still"
                        .formatted(peer, number)));
          }
        });
  }

  private void lost(int peer, IOException e) {
    lock.lock();
    try {
      if (closed || gone.containsKey(peer)) {
        return;
      }
    } finally {
      lock.unlock();
    }
    fail(
        new Failure(
            CollectiveException.Kind.LEFT,
            List.of(peer),
            "rank %d died or was cut off: %s".formatted(peer, e.getMessage())));
  }

  private void keep(Failure reason) {
    lock.lock();
    try {
      if (failure == null) {
        failure = reason;
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Keeps the first reason and tells the others. */
  private void fail(Failure reason) {
    lock.lock();
    try {
      if (failure != null) {
        return;
      }
      keep(reason);
      String culprits =
          reason.culprits().stream().map(String::valueOf).collect(Collectors.joining(" "));
      String text = reason.kind() + "\n" + culprits + "\n" + reason.message();
      farewell(new Frame(Frame.Kind.ABORT, begun, 0, 0, text));
    } finally {
      lock.unlock();
    }
  }

  private void farewell(Frame frame) {
    queues.values().forEach(q -> q.add(new Outgoing(frame, MemorySegment.NULL, null)));
  }

  /** Throws once no thread touches a buffer any more. */
  private void requireNoFailure(TcpOperation operation) {
    if (failure == null) {
      return;
    }
    long end = System.nanoTime() + FAREWELL.toNanos();
    while (touching > 0 && System.nanoTime() < end) {
      try {
        changed.awaitNanos(GRACE_NANOS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        break;
      }
      if (touching > 0) {
        disconnect(); // a stuck peer must not keep this rank
      }
    }
    throw new CollectiveException(
        failure.kind(),
        failure.culprits(),
        "%s (noticed by rank %d in %s)"
            .formatted(failure.message(), rank, operation.call.at(operation.sequence)));
  }

  /** Ends as a killed process does: without a word. */
  void cut() {
    lock.lock();
    closed = true;
    lock.unlock();
    disconnect();
  }

  private static void drain(SocketChannel channel) {
    ByteBuffer rest = ByteBuffer.allocate(1 << 16);
    try {
      while (channel.read(rest.clear()) >= 0) {
        LOG.trace("discarded {} bytes", rest.position());
      }
    } catch (IOException e) {
      LOG.trace("nothing more to read", e);
    }
  }

  private void disconnect() {
    for (SocketChannel channel : channels.values()) {
      try {
        channel.close();
      } catch (IOException e) {
        LOG.debug("cannot close a connection", e);
      }
    }
  }

  @Override
  public void abort(String reason) {
    fail(
        new Failure(
            CollectiveException.Kind.FAILED, List.of(rank), "rank " + rank + " failed: " + reason));
  }

  @Override
  public void close() {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      if (failure == null) {
        farewell(new Frame(Frame.Kind.GOODBYE, begun, 0, 0, ""));
        long nanos = FAREWELL.toNanos();
        while (gone.size() < worldSize - 1 && failure == null && nanos > 0) {
          nanos = changed.awaitNanos(nanos);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      lock.unlock();
    }
    for (Thread sender : senders) {
      try {
        sender.join(Duration.ofSeconds(1)); // the last words
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    if (failure != null) {
      // Closing with unread bytes would take the last words back.
      List<Thread> drains =
          channels.values().stream()
              .map(channel -> Thread.ofVirtual().start(() -> drain(channel)))
              .toList();
      long end = System.nanoTime() + 2 * GRACE_NANOS;
      while (drains.stream().anyMatch(Thread::isAlive) && System.nanoTime() < end) {
        LockSupport.parkNanos(1_000_000);
      }
    }
    disconnect();
  }
}
