package org.pretrain4j.trainer.parallel.nccl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntSupplier;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.Reduction;

/**
 * One rank a GPU. A collective starts on a stream of its own, after what libtorch has in its
 * default stream at that time; waiting for it is waiting on the host for its event.
 */
public final class NcclCollectives implements Collectives {
  private static final Logger LOG = LogManager.getLogger();
  private static final Duration NEWS = Duration.ofSeconds(1);
  private static final Duration ABORT = Duration.ofSeconds(10);

  /** Why the group is of no more use. */
  private record Failure(CollectiveException.Kind kind, List<Integer> culprits, String message) {}

  private final Nccl nccl;
  private final Gpu gpu;
  private final Board board;
  private final int rank;
  private final int worldSize;
  private final Duration timeout;
  private final ReentrantLock lock = new ReentrantLock();
  private final Deque<Long> events = new ArrayDeque<>();
  private final long stream;
  private final long small;
  private final Thread watch;
  private volatile long communicator;
  private volatile Failure failure;
  private volatile boolean closed;
  private volatile long begun;
  private volatile String current = "";

  NcclCollectives(Nccl nccl, Gpu gpu, Board board, int rank, int worldSize, Duration timeout) {
    this.nccl = nccl;
    this.gpu = gpu;
    this.board = board;
    this.rank = rank;
    this.worldSize = worldSize;
    this.timeout = timeout;
    gpu.use();
    stream = gpu.createStream();
    small = gpu.allocate((worldSize + 1L) * Long.BYTES);
    watch = Thread.ofPlatform().daemon().name("nccl-watch").unstarted(this::watch);
  }

  /**
   * Takes GPU {@code localRank} and builds the communicator; returns when all ranks have.
   *
   * @param board where ranks leave each other notes, reachable by all of them
   * @param timeout the longest that a rank waits in one collective for the others
   * @throws UserException if NCCL, the driver or the GPU is absent
   * @throws CollectiveException if ranks are missing; it names them
   */
  public static NcclCollectives join(
      Board board,
      int rank,
      int worldSize,
      int localRank,
      Duration timeout,
      Map<String, String> environment) {
    Gpu gpu = CudaLibrary.open(environment, localRank);
    NcclCollectives collectives =
        new NcclCollectives(NcclLibrary.open(environment), gpu, board, rank, worldSize, timeout);
    collectives.connect();
    return collectives;
  }

  /** Whether this machine has NCCL and a GPU. */
  public static boolean isAvailable(Map<String, String> environment) {
    return NcclLibrary.isPresent(environment) && CudaLibrary.devices(environment) > 0;
  }

  void connect() {
    watch.start();
    byte[] id;
    if (rank == 0) {
      id = nccl.uniqueId();
      board.post("nccl/id", id);
    } else {
      id = board.await("nccl/id", timeout);
    }
    communicator = nccl.initialize(worldSize, id, rank);
    CollectiveCall call = CollectiveCall.barrier();
    settle("ncclCommInitRankConfig", NcclResult.IN_PROGRESS.ordinal(), call, -1);
    LOG.info("rank {} of {} joined NCCL {}", rank, worldSize, nccl.version());
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int worldSize() {
    return worldSize;
  }

  private static int type(ElementType type) {
    return switch (type) {
      case FLOAT32 -> Nccl.FLOAT32;
      case BFLOAT16 -> Nccl.BFLOAT16;
    };
  }

  private static int reduction(Reduction reduction) {
    return switch (reduction) {
      case SUM -> Nccl.SUM;
      case MAX -> Nccl.MAX;
    };
  }

  @Override
  public Pending allReduce(FlatBuffer buffer, Reduction reduction) {
    return begin(
        CollectiveCall.allReduce(buffer, reduction),
        () ->
            nccl.allReduce(
                buffer.address(),
                buffer.address(),
                buffer.elements(),
                type(buffer.type()),
                reduction(reduction),
                communicator,
                stream));
  }

  @Override
  public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
    return begin(
        CollectiveCall.reduceScatter(input, output, worldSize),
        () ->
            nccl.reduceScatter(
                input.address(),
                output.address(),
                output.elements(),
                type(input.type()),
                Nccl.SUM,
                communicator,
                stream));
  }

  @Override
  public Pending allGather(FlatBuffer input, FlatBuffer output) {
    return begin(
        CollectiveCall.allGather(input, output, worldSize),
        () ->
            nccl.allGather(
                input.address(),
                output.address(),
                input.elements(),
                type(input.type()),
                communicator,
                stream));
  }

  @Override
  public Pending broadcast(FlatBuffer buffer, int root) {
    return begin(
        CollectiveCall.broadcast(buffer, root, worldSize),
        () ->
            nccl.broadcast(
                buffer.address(),
                buffer.address(),
                buffer.elements(),
                type(buffer.type()),
                root,
                communicator,
                stream));
  }

  @Override
  public void barrier() {
    gather(CollectiveCall.barrier(), 0);
  }

  @Override
  public long[] allGatherLong(long value) {
    return gather(CollectiveCall.allGatherLong(), value);
  }

  /** Moves longs as pairs of float32: an all-gather doesn't look at what it moves. */
  private long[] gather(CollectiveCall call, long value) {
    try (Arena arena = Arena.ofConfined()) {
      gpu.use();
      long mine = small + (long) worldSize * Long.BYTES;
      gpu.copyToGpu(mine, arena.allocateFrom(ValueLayout.JAVA_LONG, value));
      begin(call, () -> nccl.allGather(mine, small, 2, Nccl.FLOAT32, communicator, stream)).await();
      MemorySegment all = arena.allocate(ValueLayout.JAVA_LONG, worldSize);
      gpu.copyFromGpu(small, all);
      return all.toArray(ValueLayout.JAVA_LONG);
    }
  }

  @Override
  public byte[] broadcastBytes(byte[] bytes, int root) {
    CollectiveCall call = CollectiveCall.broadcastBytes(root, worldSize);
    int length = (int) gather(call, rank == root ? bytes.length : 0)[root];
    long words = Math.max(1, Math.ceilDiv(length, 4));
    long copy = gpu.allocate(4 * words);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment message = arena.allocate(4 * words);
      if (rank == root) {
        MemorySegment.copy(MemorySegment.ofArray(bytes), 0, message, 0, length);
        gpu.copyToGpu(copy, message);
      }
      begin(call, () -> nccl.broadcast(copy, copy, words, Nccl.FLOAT32, root, communicator, stream))
          .await();
      gpu.copyFromGpu(copy, message);
      return message.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
    } finally {
      if (failure == null) {
        gpu.free(copy);
      }
    }
  }

  private Pending begin(CollectiveCall call, IntSupplier start) {
    gpu.use();
    long event;
    long sequence;
    lock.lock();
    try {
      sequence = begun;
      requireNoFailure(call, sequence);
      current = call.at(sequence);
      begun = sequence + 1;
      event = events.isEmpty() ? gpu.createEvent() : events.pop();
      gpu.record(event, Gpu.DEFAULT_STREAM);
      gpu.waitFor(stream, event);
      settle(function(call), start.getAsInt(), call, sequence);
      gpu.record(event, stream);
    } finally {
      lock.unlock();
    }
    return new Pending() {
      private boolean awaited;

      @Override
      public void await() {
        if (!awaited) {
          waitFor(event, call, sequence);
          awaited = true;
          lock.lock();
          try {
            events.push(event);
          } finally {
            lock.unlock();
          }
        }
      }
    };
  }

  private static String function(CollectiveCall call) {
    return switch (call.kind()) {
      case ALL_REDUCE -> "ncclAllReduce";
      case REDUCE_SCATTER -> "ncclReduceScatter";
      case ALL_GATHER, ALL_GATHER_LONG, BARRIER -> "ncclAllGather";
      case BROADCAST, BROADCAST_BYTES -> "ncclBroadcast";
    };
  }

  private static String place(CollectiveCall call, long sequence) {
    return sequence < 0 ? "the start of NCCL" : call.at(sequence);
  }

  /** Polls until the communicator has taken the call; a non-blocking one may need a while. */
  private void settle(String function, int result, CollectiveCall call, long sequence) {
    long start = System.nanoTime();
    int state = result;
    while (state == NcclResult.IN_PROGRESS.ordinal()) {
      checkTime(start, call, sequence);
      LockSupport.parkNanos(20_000);
      state = nccl.asyncError(communicator);
    }
    if (state != NcclResult.SUCCESS.ordinal()) {
      throw broken(function, state, call, sequence);
    }
  }

  private void waitFor(long event, CollectiveCall call, long sequence) {
    gpu.use();
    long start = System.nanoTime();
    for (int turn = 0; !gpu.isDone(event); turn++) {
      if (turn % 64 == 63) {
        int state = nccl.asyncError(communicator);
        if (state != NcclResult.SUCCESS.ordinal() && state != NcclResult.IN_PROGRESS.ordinal()) {
          throw broken(function(call), state, call, sequence);
        }
      }
      checkTime(start, call, sequence);
      if (turn < 1000) {
        Thread.onSpinWait();
      } else {
        LockSupport.parkNanos(20_000);
      }
    }
    requireNoFailure(call, sequence); // an abort makes events done, too
  }

  private void checkTime(long start, CollectiveCall call, long sequence) {
    requireNoFailure(call, sequence);
    if (Thread.currentThread().isInterrupted()) {
      abort("its thread was interrupted");
      requireNoFailure(call, sequence);
    }
    if (System.nanoTime() - start > timeout.toNanos()) {
      String waited =
          "rank %d waited %s s in %s"
              .formatted(rank, timeout.toMillis() / 1000.0, place(call, sequence));
      fail(located(CollectiveException.Kind.TIMEOUT, waited, sequence));
      requireNoFailure(call, sequence);
    }
  }

  private CollectiveException broken(
      String function, int state, CollectiveCall call, long sequence) {
    String what =
        "%s failed on rank %d: %s%s"
            .formatted(
                function, rank, NcclResult.describe(state), detail(nccl.lastError(communicator)));
    fail(located(CollectiveException.Kind.BACKEND, what, sequence));
    return exception(call, sequence);
  }

  private static String detail(String lastError) {
    return lastError.isEmpty() ? "" : "; NCCL says: " + lastError.replace('\n', ' ');
  }

  /** Adds the ranks that are not there, as far as the board knows. */
  private Failure located(CollectiveException.Kind kind, String what, long sequence) {
    try {
      publish();
      Thread.sleep(NEWS.plusMillis(500)); // until every rank that lives has written once more
      Optional<Board.Note> first = board.failure();
      if (first.isPresent()) {
        return failure(first.get()); // what is seen here only follows from it
      }
      List<Integer> culprits = new ArrayList<>();
      List<String> missing = new ArrayList<>();
      Map<Integer, String> progress = board.progress();
      for (int other = 0; other < worldSize; other++) {
        String line = progress.getOrDefault(other, "");
        int blank = line.indexOf(' ');
        long number = blank < 0 ? -1 : Long.parseLong(line.substring(0, blank));
        if (number <= sequence) {
          culprits.add(other);
          missing.add(
              "rank "
                  + other
                  + (blank < 0 ? " (never seen)" : " (begun " + number + " collectives)"));
        }
      }
      String names = String.join(", ", missing.subList(0, Math.min(8, missing.size())));
      String more = missing.size() > 8 ? " and " + (missing.size() - 8) + " more" : "";
      return new Failure(
          kind,
          culprits,
          what + (missing.isEmpty() ? ", all ranks are there" : ", missing: " + names + more));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return new Failure(kind, List.of(), what);
    } catch (RuntimeException e) {
      LOG.warn("rank {} cannot ask where the others are: {}", rank, e.getMessage());
      return new Failure(kind, List.of(), what + ", the rendezvous does not answer");
    }
  }

  private static Failure failure(Board.Note note) {
    return new Failure(
        CollectiveException.Kind.valueOf(note.kind()), note.culprits(), note.message());
  }

  private void publish() {
    board.publish(rank, begun + " " + current);
  }

  private void watch() {
    while (failure == null && !closed) {
      try {
        publish();
        board.failure().ifPresent(note -> stop(failure(note)));
      } catch (RuntimeException e) {
        LOG.warn("rank {} cannot reach the rendezvous: {}", rank, e.getMessage());
      }
      LockSupport.parkNanos(NEWS.toNanos());
    }
  }

  private void fail(Failure reason) {
    try {
      board.fail(new Board.Note(reason.kind().name(), reason.culprits(), reason.message()));
    } catch (RuntimeException e) {
      LOG.warn("rank {} cannot tell the others that it failed: {}", rank, e.getMessage());
    }
    stop(reason);
  }

  /** Aborts the communicator, which ends its kernels; doesn't wait for ever for that. */
  private void stop(Failure reason) {
    synchronized (this) {
      if (failure != null) {
        return;
      }
      failure = reason;
    }
    long broken = communicator;
    if (broken == 0) {
      return;
    }
    Thread aborter =
        Thread.ofPlatform()
            .daemon()
            .name("nccl-abort")
            .start(
                () -> {
                  gpu.use();
                  int code = nccl.abort(broken);
                  if (code != NcclResult.SUCCESS.ordinal()) {
                    LOG.warn("ncclCommAbort failed: {}", NcclResult.describe(code));
                  }
                });
    try {
      if (!aborter.join(ABORT)) {
        LOG.warn("ncclCommAbort did not return within {} s", ABORT.toSeconds());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
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
        "%s (noticed by rank %d in %s)".formatted(failure.message(), rank, place(call, sequence)));
  }

  @Override
  public void abort(String reason) {
    fail(
        new Failure(
            CollectiveException.Kind.FAILED, List.of(rank), "rank " + rank + " failed: " + reason));
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    if (failure != null) {
      return;
    }
    gpu.use();
    long start = System.nanoTime();
    int state = nccl.finish(communicator);
    while (state == NcclResult.SUCCESS.ordinal() || state == NcclResult.IN_PROGRESS.ordinal()) {
      state = nccl.asyncError(communicator);
      if (state == NcclResult.SUCCESS.ordinal()) {
        nccl.destroy(communicator);
        return;
      }
      if (System.nanoTime() - start > ABORT.toNanos()) {
        break;
      }
      LockSupport.parkNanos(1_000_000);
    }
    stop(
        new Failure(
            CollectiveException.Kind.BACKEND,
            List.of(),
            "ncclCommFinalize: " + NcclResult.describe(state)));
  }
}
