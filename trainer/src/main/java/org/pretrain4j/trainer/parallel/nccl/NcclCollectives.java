package org.pretrain4j.trainer.parallel.nccl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongToIntFunction;
import java.util.function.Supplier;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.cuda.CudaDriver;
import org.pretrain4j.trainer.cuda.Gpu;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.GroupFailure;
import org.pretrain4j.trainer.parallel.ProcessCollectives;

/**
 * One rank a GPU, each in a JVM or a platform thread of its own. A collective starts on a stream of
 * its own, after what libtorch has in its default stream at that time; to follow it, the default
 * stream waits for its event, and to await it, the host does.
 */
public final class NcclCollectives extends ProcessCollectives<NcclOperation> {
  private static final Logger LOG = LogManager.getLogger();
  private static final String START = "the start of NCCL";
  private static final String ID = "nccl/id";
  private static final long ID_NANOS = 20_000_000;
  private static final long LOOK_NANOS = 1_000_000_000;

  /** Of messages, which travel in pieces of this size in bytes. */
  private static final int PIECE = 1 << 18;

  private final Nccl nccl;
  private final Gpu gpu;
  private final Board board;
  private final NcclNews news;
  private final NcclCommunicator communicator;
  private final NcclStream stream;
  private final NcclCalls calls;
  private final FollowedOperations followed = new FollowedOperations(this::isOver);
  private final long small;
  private final long piece;
  private volatile boolean closed;
  private volatile String current = "";

  NcclCollectives(Nccl nccl, Gpu gpu, Board board, int rank, int worldSize, Duration timeout) {
    super(rank, worldSize, timeout);
    this.nccl = nccl;
    this.gpu = gpu;
    this.board = board;
    news = new NcclNews(board, rank, worldSize, () -> begun() + " " + current);
    communicator = new NcclCommunicator(nccl, gpu);
    stream = new NcclStream(gpu);
    calls = new NcclCalls(nccl, stream.handle());
    small = stream.allocate((worldSize + 1L) * MOST_LONGS * Long.BYTES);
    piece = stream.allocate(PIECE); // once, since to allocate in mid-run waits for the GPU
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
    NcclCollectives collectives =
        start(
            board,
            rank,
            () ->
                new NcclCollectives(
                    NcclLibrary.open(environment),
                    CudaDriver.open(environment, localRank),
                    board,
                    rank,
                    worldSize,
                    timeout));
    try {
      collectives.connect();
      return collectives;
    } catch (RuntimeException e) {
      collectives.close();
      throw e;
    }
  }

  /** The others must not wait for a rank that cannot even begin. */
  static <T> T start(Board board, int rank, Supplier<T> start) {
    try {
      return start.get();
    } catch (RuntimeException e) {
      NcclNews.tell(board, rank, GroupFailure.failed(rank, e.getMessage()));
      throw e;
    }
  }

  void connect() {
    Thread.ofPlatform()
        .daemon()
        .name("nccl-watch")
        .start(() -> news.watch(() -> closed || failure() != null, this::stop));
    Thread.ofPlatform().daemon().name("nccl-followed").start(this::lookAfterwards);
    try {
      if (rank() == 0) {
        board.post(ID, nccl.uniqueId());
      }
      communicator.connect(worldSize(), awaitId(), rank());
    } catch (CollectiveException e) {
      throw e;
    } catch (RuntimeException e) {
      fail(
          new GroupFailure(
              CollectiveException.Kind.BACKEND,
              List.of(rank()),
              "rank " + rank() + ": " + e.getMessage()));
      throw failure().seenBy(rank(), START);
    }
    settle("ncclCommInitRankConfig", NcclResult.IN_PROGRESS.ordinal(), START, -1);
    LOG.info("rank {} of {} joined NCCL {}", rank(), worldSize(), nccl.version());
  }

  private byte[] awaitId() {
    long start = System.nanoTime();
    Optional<byte[]> id = findId();
    while (id.isEmpty()) {
      requireTime(start, START, -1);
      LockSupport.parkNanos(ID_NANOS);
      id = findId();
    }
    return id.get();
  }

  private Optional<byte[]> findId() {
    try {
      return board.find(ID);
    } catch (RuntimeException e) {
      fail(NcclNews.lost(e));
      throw failure().seenBy(rank(), START);
    }
  }

  @Override
  protected NcclOperation start(
      long sequence, CollectiveCall call, FlatBuffer input, FlatBuffer output) {
    return begin(sequence, call, comm -> calls.launch(call, input, output, comm));
  }

  @Override
  public void barrier() {
    gather(CollectiveCall.barrier(), 0);
  }

  @Override
  protected long[] gather(CollectiveCall call, long... values) {
    try (Arena arena = Arena.ofConfined()) {
      gpu.use();
      long count = (long) worldSize() * values.length;
      long mine = small + count * Long.BYTES;
      gpu.copyToGpu(mine, arena.allocateFrom(ValueLayout.JAVA_LONG, values));
      run(call, comm -> calls.gatherLongs(mine, small, values.length, comm));
      MemorySegment all = arena.allocate(ValueLayout.JAVA_LONG, count);
      gpu.copyFromGpu(small, all);
      return all.toArray(ValueLayout.JAVA_LONG);
    }
  }

  @Override
  protected byte[] broadcast(CollectiveCall call, byte[] bytes, int length) {
    byte[] message = new byte[length];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment part = arena.allocate(Math.min(PIECE, 4L * Math.ceilDiv(length, 4)));
      for (int from = 0; from < length; from += PIECE) {
        int count = Math.min(PIECE, length - from);
        int words = Math.ceilDiv(count, 4);
        MemorySegment exact = part.asSlice(0, 4L * words);
        if (rank() == call.root()) {
          MemorySegment.copy(MemorySegment.ofArray(bytes), from, exact, 0, count);
          gpu.copyToGpu(piece, exact);
        }
        run(call, comm -> calls.broadcastWords(piece, words, call.root(), comm));
        gpu.copyFromGpu(piece, exact);
        MemorySegment.copy(exact, 0, MemorySegment.ofArray(message), from, count);
      }
    }
    return message;
  }

  private void run(CollectiveCall call, LongToIntFunction launch) {
    await(begin(call, sequence -> begin(sequence, call, launch)));
  }

  private NcclOperation begin(long sequence, CollectiveCall call, LongToIntFunction launch) {
    gpu.use();
    current = call.at(sequence);
    long event = stream.takeEvent();
    NcclOperation operation = new NcclOperation(sequence, call, event);
    gpu.record(event, Gpu.DEFAULT_STREAM);
    gpu.waitFor(stream.handle(), event);
    settle(operation.function(), communicator.use(launch), operation.place(), sequence);
    gpu.record(event, stream.handle());
    return operation;
  }

  private void settle(String function, int result, String place, long sequence) {
    long start = System.nanoTime();
    int state = communicator.settle(result, () -> requireTime(start, place, sequence));
    if (state != NcclResult.SUCCESS.ordinal()) {
      throw broken(function, state, place, sequence);
    }
  }

  private void requireTime(long start, String place, long sequence) {
    requireNoFailure(place);
    if (Thread.currentThread().isInterrupted()) {
      abort("its thread was interrupted");
    } else if (System.nanoTime() - start > timeout().toNanos()) {
      fail(news.located(CollectiveException.Kind.TIMEOUT, waited(place), sequence));
    }
    requireNoFailure(place);
  }

  @Override
  protected boolean isDone(NcclOperation operation, int turn) {
    if (turn == 0) {
      gpu.use();
    }
    if (isOver(operation)) {
      return true;
    }
    requireNoFailure(operation.place());
    if (turn % 64 == 63) {
      requireNoError(operation);
    }
    return false;
  }

  /** Called by the thread that waits and by the one that looks after what is followed. */
  private boolean isOver(NcclOperation operation) {
    synchronized (operation) {
      // An abort makes events done, too.
      if (!operation.done && gpu.isDone(operation.event) && failure() == null) {
        operation.done = true;
        stream.giveEvent(operation.event);
      }
      return operation.done;
    }
  }

  private void requireNoError(NcclOperation operation) {
    int state = communicator.asyncError();
    if (state != NcclResult.SUCCESS.ordinal() && state != NcclResult.IN_PROGRESS.ordinal()) {
      throw broken(operation.function(), state, operation.place(), operation.sequence());
    }
  }

  @Override
  protected void follow(NcclOperation operation) {
    requireNoFailure(operation.place());
    gpu.use();
    if (!isOver(operation)) {
      gpu.waitFor(Gpu.DEFAULT_STREAM, operation.event);
      followed.add(operation, System.nanoTime());
    }
  }

  /**
   * Ends the group when what nobody awaits fails or takes too long: the host may hang in it. Not on
   * the thread that hears of other ranks, as the driver may hold this one up, too.
   */
  private void lookAfterwards() {
    try {
      gpu.use();
      while (!closed && failure() == null) {
        followed.late(System.nanoTime(), 0).ifPresent(this::requireNoError);
        followed
            .late(System.nanoTime(), timeout().toNanos())
            .ifPresent(operation -> fail(timedOut(operation, waited(operation.place()))));
        LockSupport.parkNanos(LOOK_NANOS);
      }
    } catch (CollectiveException e) {
      LOG.debug("the group has ended", e); // and whoever calls next is told
    } catch (RuntimeException e) {
      abort("its GPU: " + e.getMessage());
    }
  }

  @Override
  protected void pause(NcclOperation operation, int turn, long nanos) {
    if (turn < 1000) {
      Thread.onSpinWait();
    } else {
      LockSupport.parkNanos(20_000);
    }
  }

  @Override
  protected GroupFailure timedOut(NcclOperation operation, String waited) {
    return news.located(CollectiveException.Kind.TIMEOUT, waited, operation.sequence());
  }

  private CollectiveException broken(String function, int state, String place, long sequence) {
    String what =
        "%s failed on rank %d: %s".formatted(function, rank(), communicator.describe(state));
    GroupFailure located = news.located(CollectiveException.Kind.BACKEND, what, sequence);
    boolean own = located.culprits().isEmpty() && state != NcclResult.REMOTE_ERROR.ordinal();
    fail(own ? new GroupFailure(located.kind(), List.of(rank()), located.message()) : located);
    return failure().seenBy(rank(), place);
  }

  @Override
  protected void tell(GroupFailure reason) {
    news.tell(reason);
    communicator.abort();
  }

  /** Another rank has failed. */
  private void stop(GroupFailure reason) {
    if (keep(reason)) {
      communicator.abort();
    }
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    followed.end();
    if (failure() == null) {
      gpu.use();
      int state = communicator.finish();
      if (state != NcclResult.SUCCESS.ordinal()) {
        stop(
            new GroupFailure(
                CollectiveException.Kind.BACKEND,
                List.of(),
                "ncclCommFinalize: " + NcclResult.describe(state)));
      }
    }
    communicator.release(stream);
  }
}
