package org.pretrain4j.trainer.parallel.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.GroupFailure;
import org.pretrain4j.trainer.parallel.ProcessCollectives;
import org.pretrain4j.trainer.parallel.mpi.MpiOperation.Transfer;

/**
 * One rank a process, joined by Open MPI. One object a process, since MPI can be initialised once.
 *
 * <p>After a failure no MPI call is made any more, so that buffers may be freed; the process then
 * exits, and its launcher ends what is left of the others.
 */
public final class MpiCollectives extends ProcessCollectives<MpiOperation> {
  private static final Logger LOG = LogManager.getLogger();
  private static final long IDLE_NANOS = 2_000_000;
  private static final long BUSY_NANOS = 100_000;

  private final OpenMpi mpi;
  private final MpiTransfers transfers;
  private final MpiPeers peers;
  private final Deque<MpiOperation> active = new ArrayDeque<>();
  private final Thread driver;
  private volatile boolean silent;

  private MpiCollectives(OpenMpi mpi, Duration timeout) {
    super(mpi.rank(), mpi.size(), timeout);
    this.mpi = mpi;
    transfers = new MpiTransfers(mpi, rank(), worldSize());
    ControlChannel control = new ControlChannel(mpi, rank(), worldSize());
    peers = new MpiPeers(control, rank(), worldSize(), this::begun, this::aborted);
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
  protected MpiOperation start(
      long sequence, CollectiveCall call, FlatBuffer input, FlatBuffer output) {
    return begin(
        sequence,
        call,
        () ->
            switch (call.kind()) {
              case ALL_REDUCE -> transfers.allReduce(call, input);
              case REDUCE_SCATTER -> transfers.reduceScatter(input, output);
              case ALL_GATHER -> transfers.allGather(input, output);
              case BROADCAST -> transfers.broadcast(call, input);
              case BARRIER -> transfers.barrier();
              case BROADCAST_BYTES, ALL_GATHER_LONGS ->
                  throw new IllegalStateException(call + " has no buffers");
            });
  }

  @Override
  protected long[] gather(CollectiveCall call, long... values) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment mine = arena.allocateFrom(ValueLayout.JAVA_LONG, values);
      MemorySegment all = arena.allocate(ValueLayout.JAVA_LONG, (long) worldSize() * values.length);
      await(
          begin(
              call, sequence -> begin(sequence, call, () -> transfers.allGatherLongs(mine, all))));
      return all.toArray(ValueLayout.JAVA_LONG);
    }
  }

  @Override
  protected byte[] broadcast(CollectiveCall call, byte[] bytes, int length) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment message = arena.allocate(length);
      if (rank() == call.root()) {
        message.copyFrom(MemorySegment.ofArray(bytes));
      }
      await(
          begin(
              call,
              sequence -> begin(sequence, call, () -> transfers.broadcastBytes(call, message))));
      return message.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  private MpiOperation begin(long sequence, CollectiveCall call, Supplier<Transfer> start) {
    peers.remember(sequence, call);
    MpiOperation operation = new MpiOperation(sequence, call, worldSize(), start);
    active.add(operation);
    try {
      takeTurns();
    } catch (MpiException e) {
      throw broken(call, sequence, e);
    }
    return operation;
  }

  /** MPI wants all collectives begun in the same order on all ranks. */
  private void takeTurns() {
    int holdMemory = 0;
    for (MpiOperation operation : active) {
      if (operation.needsMemory() && ++holdMemory > UNDER_WAY) {
        return;
      }
      if (!operation.hasBegun()) {
        operation.begin();
      }
    }
  }

  @Override
  protected boolean isDone(MpiOperation operation, int turn) {
    lock.lock();
    try {
      if (!operation.isDone() && failure() == null) {
        progress();
      }
      return operation.isDone();
    } catch (MpiException e) {
      throw broken(operation.call(), operation.sequence(), e);
    } finally {
      lock.unlock();
    }
  }

  @Override
  protected void pause(MpiOperation operation, int turn, long nanos) {
    if (turn < 100) {
      Thread.onSpinWait();
    } else if (turn < 2000) {
      Thread.yield();
    } else {
      LockSupport.parkNanos(20_000);
    }
  }

  @Override
  protected GroupFailure timedOut(MpiOperation operation, String waited) {
    return diagnose(
        operation.call(), operation.sequence(), CollectiveException.Kind.TIMEOUT, waited);
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
        broken(operation.call(), operation.sequence(), e);
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
    takeTurns();
    peers.poll();
    if (failure() == null && !active.isEmpty()) {
      peers.departedBefore(active.getLast().sequence()).ifPresent(this::fail);
    }
  }

  private void aborted(GroupFailure reason) {
    keep(reason);
    silent = true;
  }

  private CollectiveException broken(CollectiveCall call, long sequence, MpiException e) {
    fail(diagnose(call, sequence, CollectiveException.Kind.BACKEND, inCall(call, sequence, e)));
    return failure().seenBy(rank(), call.at(sequence));
  }

  private String inCall(CollectiveCall call, long sequence, MpiException e) {
    return "rank %d: %s in %s".formatted(rank(), e.getMessage(), call.at(sequence));
  }

  /** Asks the other ranks where they are. */
  private GroupFailure diagnose(
      CollectiveCall call, long sequence, CollectiveException.Kind kind, String what) {
    lock.lock();
    try {
      return peers.diagnose(call, sequence, kind, what).orElseGet(this::failure);
    } finally {
      lock.unlock();
    }
  }

  /** Tells the others, and makes no MPI call afterwards. */
  @Override
  protected void tell(GroupFailure reason) {
    lock.lock();
    try {
      if (!silent) {
        peers.tell(reason);
      }
    } catch (MpiException e) {
      LOG.warn("rank {} cannot tell the others that it failed: {}", rank(), e.getMessage());
    } finally {
      silent = true;
      lock.unlock();
    }
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
          fail(new GroupFailure(CollectiveException.Kind.BACKEND, List.of(), e.getMessage()));
        } finally {
          lock.unlock();
        }
      }
      LockSupport.parkNanos(busy ? BUSY_NANOS : IDLE_NANOS);
    }
  }

  @Override
  public void close() {
    if (silent) {
      return;
    }
    lock.lock();
    try {
      peers.sayGoodbye();
    } finally {
      lock.unlock();
    }
    long end = System.nanoTime() + timeout().toNanos();
    while (!silent && System.nanoTime() < end) {
      lock.lock();
      try {
        progress();
        if (active.isEmpty() && peers.isOver()) {
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
          new GroupFailure(
              CollectiveException.Kind.TIMEOUT,
              List.of(),
              "the others did not end with this rank"));
      LOG.warn("rank {} leaves MPI without the others: they did not end in time", rank());
    }
  }
}
