package org.pretrain4j.trainer.parallel.tcp;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.GroupFailure;
import org.pretrain4j.trainer.parallel.ProcessCollectives;
import org.pretrain4j.trainer.parallel.ScratchPool;
import org.pretrain4j.trainer.parallel.cluster.Store;

/** One rank a process, with a connection to every other. */
public final class TcpCollectives extends ProcessCollectives<TcpOperation> {
  private static final Logger LOG = LogManager.getLogger();

  private final ScratchPool pool = new ScratchPool();
  private final TcpPlan plan;
  private final TcpLinks links;
  private final TcpExchange exchange;
  private volatile boolean closed;

  private TcpCollectives(
      Map<Integer, SocketChannel> channels, int rank, int worldSize, Duration timeout) {
    super(rank, worldSize, timeout);
    EarlyFrames early = new EarlyFrames(pool);
    plan = new TcpPlan(rank, worldSize, early);
    links = new TcpLinks(channels, new Events());
    exchange = new TcpExchange(rank, worldSize, lock, links, pool, early, new Failures());
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
    collectives.links.start();
    return collectives;
  }

  @Override
  protected TcpOperation start(
      long sequence, CollectiveCall call, FlatBuffer input, FlatBuffer output) {
    MemorySegment nothing = MemorySegment.NULL;
    return exchange.begin(
        sequence,
        call,
        () ->
            switch (call.kind()) {
              case ALL_REDUCE -> plan.allReduce(sequence, input, call.reduction());
              case REDUCE_SCATTER -> plan.reduceScatter(sequence, input, output);
              case ALL_GATHER -> plan.allGather(input.segment(), output.segment());
              case BROADCAST -> plan.broadcast(input.segment(), call.root());
              case BARRIER -> plan.allGather(nothing, nothing);
              case BROADCAST_BYTES, ALL_GATHER_LONGS ->
                  throw new IllegalStateException(call + " has no buffers");
            });
  }

  @Override
  protected long[] gather(CollectiveCall call, long... values) {
    MemorySegment mine = Arena.ofAuto().allocateFrom(ValueLayout.JAVA_LONG, values);
    long count = (long) worldSize() * values.length;
    MemorySegment all = Arena.ofAuto().allocate(ValueLayout.JAVA_LONG, count);
    await(begin(call, sequence -> exchange.begin(sequence, call, () -> plan.allGather(mine, all))));
    return all.toArray(ValueLayout.JAVA_LONG);
  }

  @Override
  protected byte[] broadcast(CollectiveCall call, byte[] bytes, int length) {
    MemorySegment message = Arena.ofAuto().allocate(length);
    if (rank() == call.root()) {
      message.copyFrom(MemorySegment.ofArray(bytes));
    }
    await(
        begin(
            call,
            sequence ->
                exchange.begin(sequence, call, () -> plan.broadcast(message, call.root()))));
    return message.toArray(ValueLayout.JAVA_BYTE);
  }

  @Override
  protected boolean isDone(TcpOperation operation, int turn) {
    return operation.done;
  }

  @Override
  protected void pause(TcpOperation operation, int turn, long nanos) throws InterruptedException {
    exchange.pause(operation, nanos);
  }

  @Override
  protected GroupFailure timedOut(TcpOperation operation, String waited) {
    lock.lock();
    try {
      List<Integer> missing = exchange.missing(operation);
      return new GroupFailure(
          CollectiveException.Kind.TIMEOUT,
          missing,
          waited
              + ", missing: "
              + (missing.isEmpty()
                  ? "nobody, but a connection is stuck"
                  : GroupFailure.some(missing.stream().map(peer -> "rank " + peer).toList())));
    } finally {
      lock.unlock();
    }
  }

  @Override
  protected void tell(GroupFailure reason) {
    links.farewell(FailureFrame.of(reason, begun()));
    exchange.wake();
  }

  /** Ends as a killed process does: without a word. */
  void cut() {
    closed = true;
    links.disconnect();
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    if (failure() == null) {
      links.farewell(new Frame(Frame.Kind.GOODBYE, begun(), 0, 0, ""));
      try {
        exchange.awaitGoodbyes(worldSize() - 1);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    links.close(failure() != null);
    exchange.free();
  }

  /** Native memory that is held besides the buffers, in bytes. */
  long scratchBytes() {
    lock.lock();
    try {
      return pool.bytes();
    } finally {
      lock.unlock();
    }
  }

  /** What the exchange may know and do about failures. */
  private final class Failures implements TcpExchange.Failures {
    @Override
    public boolean isEmpty() {
      return failure() == null;
    }

    @Override
    public void fail(GroupFailure reason) {
      TcpCollectives.this.fail(reason);
    }
  }

  /** What the threads of the connections tell. */
  private final class Events implements TcpLinks.Listener {
    @Override
    public boolean beforeSending() {
      return exchange.beforeSending();
    }

    @Override
    public void afterSending(TcpOperation operation, boolean sent) {
      exchange.afterSending(operation, sent);
    }

    @Override
    public void received(int peer, SocketChannel channel, Frame frame) throws IOException {
      switch (frame.kind()) {
        case DATA -> exchange.data(peer, channel, frame);
        case GOODBYE -> exchange.goodbye(peer, frame.sequence());
        case ABORT -> {
          keep(FailureFrame.read(frame));
          exchange.wake();
        }
      }
    }

    @Override
    public void lost(int peer, IOException cause) {
      if (!closed && !exchange.hasLeft(peer)) {
        fail(
            new GroupFailure(
                CollectiveException.Kind.LEFT,
                List.of(peer),
                "rank %d died or was cut off: %s".formatted(peer, cause.getMessage())));
      }
    }

    @Override
    public void broken(int peer, Throwable cause) {
      LOG.error("the connection of rank {} to rank {} ends", rank(), peer, cause);
      fail(GroupFailure.failed(rank(), cause.toString()));
    }
  }

  @Override
  protected void settle() {
    exchange.settle();
  }
}
