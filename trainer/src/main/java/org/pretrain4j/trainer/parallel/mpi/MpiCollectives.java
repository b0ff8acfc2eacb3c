package org.pretrain4j.trainer.parallel.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongFunction;
import java.util.stream.Collectors;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.Reduction;

/**
 * One rank a process, joined by Open MPI. One object a process, since MPI can be initialised once.
 *
 * <p>After a failure no MPI call is made any more, so that buffers may be freed; the process then
 * exits, and its launcher ends what is left of the others.
 */
public final class MpiCollectives implements Collectives {
  private static final Logger LOG = LogManager.getLogger();
  private static final Duration ANSWER = Duration.ofSeconds(2);
  private static final long IDLE_NANOS = 2_000_000;
  private static final long BUSY_NANOS = 100_000;
  private static final int REMEMBERED = 256;

  /** Why the group is of no more use. */
  private record Failure(CollectiveException.Kind kind, List<Integer> culprits, String message) {}

  private final OpenMpi mpi;
  private final int rank;
  private final int worldSize;
  private final Duration timeout;
  private final MpiTransfers transfers;
  private final ControlChannel control;
  private final ReentrantLock lock = new ReentrantLock();
  private final Deque<MpiOperation> active = new ArrayDeque<>();
  private final Map<Long, CollectiveCall> remembered = new HashMap<>();
  private final Map<Integer, ControlMessage> answers = new TreeMap<>();
  private final Map<Integer, Long> gone = new TreeMap<>();
  private final Thread driver;
  private long begun;
  private volatile Failure failure;
  private volatile boolean silent;

  private MpiCollectives(OpenMpi mpi, Duration timeout) {
    this.mpi = mpi;
    this.timeout = timeout;
    rank = mpi.rank();
    worldSize = mpi.size();
    transfers = new MpiTransfers(mpi, rank, worldSize);
    control = new ControlChannel(mpi, rank, worldSize);
    driver = Thread.ofPlatform().daemon().name("mpi-progress").unstarted(this::drive);
  }

  /**
   * Initialises MPI.
   *
   * @param rank that the environment announces for this process
   * @param worldSize that the environment announces
   * @param timeout the longest that a rank waits in one collective for the others
   * @throws UserException if Open MPI is absent, or sees another world than the environment
   *     announces
   */
  public static MpiCollectives join(
      int rank, int worldSize, Duration timeout, Map<String, String> environment) {
    OpenMpi mpi = OpenMpi.open(environment);
    mpi.initialize();
    if (mpi.rank() != rank || mpi.size() != worldSize) {
      throw new UserException(
          "the environment announces rank %d of %d, but Open MPI (%s) sees rank %d of %d: start with mpirun, or with srun --mpi=pmix"
              .formatted(rank, worldSize, mpi.libraryPath(), mpi.rank(), mpi.size()));
    }
    MpiCollectives collectives = new MpiCollectives(mpi, timeout);
    collectives.driver.start();
    return collectives;
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
    CollectiveCall call = CollectiveCall.allReduce(buffer, reduction);
    return pending(begin(call, sequence -> transfers.allReduce(sequence, call, buffer)));
  }

  @Override
  public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
    CollectiveCall call = CollectiveCall.reduceScatter(input, output, worldSize);
    return pending(begin(call, sequence -> transfers.reduceScatter(sequence, call, input, output)));
  }

  @Override
  public Pending allGather(FlatBuffer input, FlatBuffer output) {
    CollectiveCall call = CollectiveCall.allGather(input, output, worldSize);
    return pending(begin(call, sequence -> transfers.allGather(sequence, call, input, output)));
  }

  @Override
  public Pending broadcast(FlatBuffer buffer, int root) {
    CollectiveCall call = CollectiveCall.broadcast(buffer, root, worldSize);
    return pending(begin(call, sequence -> transfers.broadcast(sequence, call, buffer)));
  }

  @Override
  public void barrier() {
    await(begin(CollectiveCall.barrier(), transfers::barrier));
  }

  @Override
  public byte[] broadcastBytes(byte[] bytes, int root) {
    CollectiveCall call = CollectiveCall.broadcastBytes(root, worldSize);
    try (Arena arena = Arena.ofShared()) {
      MemorySegment length = arena.allocate(ValueLayout.JAVA_LONG);
      if (rank == root) {
        length.set(ValueLayout.JAVA_LONG, 0, bytes.length);
      }
      await(begin(call, sequence -> transfers.broadcastBytes(sequence, call, length)));
      MemorySegment message = arena.allocate(length.get(ValueLayout.JAVA_LONG, 0));
      if (rank == root) {
        message.copyFrom(MemorySegment.ofArray(bytes));
      }
      await(begin(call, sequence -> transfers.broadcastBytes(sequence, call, message)));
      return message.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  @Override
  public long[] allGatherLong(long value) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment mine = arena.allocateFrom(ValueLayout.JAVA_LONG, value);
      MemorySegment all = arena.allocate(ValueLayout.JAVA_LONG, worldSize);
      await(
          begin(
              CollectiveCall.allGatherLong(),
              sequence -> transfers.allGatherLong(sequence, mine, all)));
      return all.toArray(ValueLayout.JAVA_LONG);
    }
  }

  private MpiOperation begin(CollectiveCall call, LongFunction<MpiOperation> start) {
    lock.lock();
    try {
      remembered.put(begun, call);
      remembered.remove(begun - REMEMBERED);
      requireNoFailure(call, begun);
      MpiOperation operation = start.apply(begun);
      begun++;
      active.add(operation);
      return operation;
    } catch (MpiException e) {
      throw broken(call, begun, e);
    } finally {
      lock.unlock();
    }
  }

  private Pending pending(MpiOperation operation) {
    return () -> await(operation);
  }

  private void await(MpiOperation operation) {
    long start = System.nanoTime();
    for (int turn = 0; ; turn++) {
      lock.lock();
      try {
        if (operation.isDone()) {
          return;
        }
        requireNoFailure(operation.call, operation.sequence);
        progress();
        if (operation.isDone()) {
          return;
        }
        if (System.nanoTime() - start > timeout.toNanos()) {
          fail(diagnose(operation.call, operation.sequence, CollectiveException.Kind.TIMEOUT, ""));
        }
      } catch (MpiException e) {
        throw broken(operation.call, operation.sequence, e);
      } finally {
        lock.unlock();
      }
      if (Thread.currentThread().isInterrupted()) {
        abort("its thread was interrupted");
      }
      if (turn < 100) {
        Thread.onSpinWait();
      } else if (turn < 2000) {
        Thread.yield();
      } else {
        LockSupport.parkNanos(20_000);
      }
    }
  }

  /** Lets every transfer and every message go on. */
  private void progress() {
    if (silent) {
      return;
    }
    boolean inOrder = true;
    for (MpiOperation operation : active) {
      try {
        operation.advance(mpi, inOrder);
      } catch (MpiException e) {
        fail(
            diagnose(
                operation.call,
                operation.sequence,
                CollectiveException.Kind.BACKEND,
                e.getMessage()));
        return;
      }
      inOrder &= operation.isPastFirst();
    }
    active.removeIf(
        operation -> {
          if (operation.isDone()) {
            transfers.release(operation);
          }
          return operation.isDone();
        });
    for (Optional<ControlMessage> m = control.receive(); m.isPresent(); m = control.receive()) {
      receive(m.get());
    }
    control.isFlushed();
    gone.forEach(
        (other, number) -> {
          if (failure == null && !active.isEmpty() && active.getLast().sequence >= number) {
            fail(
                new Failure(
                    CollectiveException.Kind.LEFT,
                    List.of(other),
                    "rank %d left the group after %d collectives, others need it still"
                        .formatted(other, number)));
          }
        });
  }

  private void receive(ControlMessage message) {
    switch (message.kind()) {
      case ABORT -> {
        if (failure == null) {
          failure = new Failure(message.reason(), message.culprits(), message.text());
        }
        silent = true;
      }
      case QUERY -> {
        CollectiveCall call = remembered.get(message.number());
        boolean there = message.number() < begun && call != null;
        control.send(
            message.sender(),
            ControlMessage.of(
                ControlMessage.Kind.STATUS, rank, begun, there ? call.toString() : ""));
      }
      case STATUS -> answers.put(message.sender(), message);
      case GOODBYE -> gone.put(message.sender(), message.number());
    }
  }

  /** Asks the other ranks where they are. */
  private Failure diagnose(
      CollectiveCall call, long sequence, CollectiveException.Kind kind, String error) {
    answers.clear();
    control.sendAll(ControlMessage.of(ControlMessage.Kind.QUERY, rank, sequence, ""));
    long end = System.nanoTime() + ANSWER.toNanos();
    while (answers.size() < worldSize - 1 && failure == null && System.nanoTime() < end) {
      control.receive().ifPresent(this::receive);
      control.isFlushed();
      Thread.yield();
    }
    if (failure != null) {
      return failure;
    }
    Map<Integer, String> missing = new TreeMap<>();
    Map<Integer, String> different = new TreeMap<>();
    for (int other = 0; other < worldSize; other++) {
      ControlMessage answer = answers.get(other);
      if (other == rank) {
        continue;
      } else if (answer == null) {
        missing.put(other, "rank " + other + " (does not answer)");
      } else if (answer.number() <= sequence) {
        missing.put(other, "rank " + other + " (begun " + answer.number() + " collectives)");
      } else if (!answer.text().isEmpty() && !answer.text().equals(call.toString())) {
        different.put(other, "rank " + other + " called " + answer.text());
      }
    }
    if (!different.isEmpty()) {
      List<Integer> both = new ArrayList<>(different.keySet());
      both.add(rank);
      return new Failure(
          CollectiveException.Kind.MISMATCH,
          both.stream().sorted().toList(),
          "the ranks differ in collective #%d: rank %d called %s, %s"
              .formatted(sequence, rank, call, shown(different)));
    }
    String waited =
        kind == CollectiveException.Kind.TIMEOUT
            ? "rank %d waited %s s in %s"
                .formatted(rank, timeout.toMillis() / 1000.0, call.at(sequence))
            : "rank %d: %s in %s".formatted(rank, error, call.at(sequence));
    return new Failure(
        kind,
        List.copyOf(missing.keySet()),
        waited + (missing.isEmpty() ? ", all ranks are there" : ", missing: " + shown(missing)));
  }

  private static String shown(Map<Integer, String> ranks) {
    return ranks.values().stream().limit(8).collect(Collectors.joining(", "))
        + (ranks.size() > 8 ? " and " + (ranks.size() - 8) + " more" : "");
  }

  private CollectiveException broken(CollectiveCall call, long sequence, MpiException e) {
    fail(diagnose(call, sequence, CollectiveException.Kind.BACKEND, e.getMessage()));
    return exception(call, sequence);
  }

  /** Keeps the first reason, tells the others, and makes no MPI call afterwards. */
  private void fail(Failure reason) {
    lock.lock();
    try {
      if (failure == null) {
        failure = reason;
      }
      if (silent) {
        return;
      }
      Failure first = failure;
      control.sendAll(
          new ControlMessage(
              ControlMessage.Kind.ABORT,
              rank,
              begun,
              first.kind(),
              first.culprits(),
              first.message()));
      long end = System.nanoTime() + ANSWER.toNanos();
      while (!control.isFlushed() && System.nanoTime() < end) {
        Thread.yield();
      }
    } catch (MpiException e) {
      LOG.warn("rank {} cannot tell the others that it failed: {}", rank, e.getMessage());
    } finally {
      silent = true;
      lock.unlock();
    }
  }

  private void requireNoFailure(CollectiveCall call, long sequence) {
    if (failure != null) {
      throw exception(call, sequence);
    }
  }

  private CollectiveException exception(CollectiveCall call, long sequence) {
    return new CollectiveException(
        failure.kind(),
        failure.culprits(),
        "%s (noticed by rank %d in %s)".formatted(failure.message(), rank, call.at(sequence)));
  }

  private void drive() {
    while (!silent) {
      boolean busy = true;
      // Without waiting: whoever holds the lock drives the transfers on itself.
      if (lock.tryLock()) {
        try {
          progress();
          busy = !active.isEmpty();
        } catch (MpiException e) {
          fail(new Failure(CollectiveException.Kind.BACKEND, List.of(), e.getMessage()));
        } finally {
          lock.unlock();
        }
      }
      LockSupport.parkNanos(busy ? BUSY_NANOS : IDLE_NANOS);
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
    if (silent) {
      return;
    }
    lock.lock();
    try {
      control.sendAll(ControlMessage.of(ControlMessage.Kind.GOODBYE, rank, begun, ""));
    } finally {
      lock.unlock();
    }
    long end = System.nanoTime() + timeout.toNanos();
    while (!silent && System.nanoTime() < end) {
      lock.lock();
      try {
        progress();
        if (gone.size() == worldSize - 1 && active.isEmpty() && control.isFlushed()) {
          silent = true;
          mpi.finish();
          return;
        }
      } finally {
        lock.unlock();
      }
      LockSupport.parkNanos(BUSY_NANOS);
    }
    if (!silent) {
      fail(
          new Failure(
              CollectiveException.Kind.TIMEOUT,
              List.of(),
              "the others did not end with this rank"));
      LOG.warn("rank {} leaves MPI without the others: they did not end in time", rank);
    }
  }
}
