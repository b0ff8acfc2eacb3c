package org.pretrain4j.trainer.parallel.nccl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.pretrain4j.trainer.cuda.Gpu;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.Reduction;

/**
 * A model of NCCL and of one GPU for each rank, with host memory for device memory: collectives run
 * in the background, and a rank can be told to report errors.
 */
final class FakeGpus implements Board {
  private final InProcessGroup group;
  private final Map<String, byte[]> posted = new ConcurrentHashMap<>();
  private final Map<Integer, String> progress = new ConcurrentHashMap<>();
  private final CompletableFuture<Note> failure = new CompletableFuture<>();
  volatile boolean isStoreLost;
  final AtomicInteger aborts = new AtomicInteger();

  FakeGpus(int worldSize) {
    group = new InProcessGroup(worldSize, Duration.ofHours(1)); // as patient as a GPU
  }

  Rank rank(int rank) {
    return new Rank(group.rank(rank));
  }

  @Override
  public void post(String key, byte[] value) {
    posted.put(key, value);
  }

  @Override
  public Optional<byte[]> find(String key) {
    requireStore();
    return Optional.ofNullable(posted.get(key));
  }

  private void requireStore() {
    if (isStoreLost) {
      throw new IllegalStateException("connection reset");
    }
  }

  @Override
  public void publish(int rank, String line) {
    requireStore();
    progress.put(rank, line);
  }

  @Override
  public Map<Integer, String> progress() {
    return new TreeMap<>(progress);
  }

  @Override
  public void fail(Note note) {
    failure.complete(note);
  }

  @Override
  public Optional<Note> failure() {
    return Optional.ofNullable(failure.getNow(null));
  }

  /** One rank's NCCL and GPU. */
  final class Rank implements Nccl, Gpu {
    /** Bytes behind each allocation that nobody else has. */
    private static final long GUARD = 4096;

    private final Collectives inner;

    /** Addresses of what was allocated here, with the size in bytes. */
    private final NavigableMap<Long, Long> allocated = new ConcurrentSkipListMap<>();

    private final Map<Long, CompletableFuture<Void>> events = new ConcurrentHashMap<>();
    private final AtomicLong handles = new AtomicLong();

    /** Streams, events and buffers that were made and not yet given back. */
    final Set<Long> live = ConcurrentHashMap.newKeySet();

    /** Of all that were ever made. */
    final AtomicInteger made = new AtomicInteger();

    private final AtomicInteger questions = new AtomicInteger();

    /** What each stream has to do before it can go on. */
    private final Map<Long, CompletableFuture<Void>> streams = new ConcurrentHashMap<>();

    private volatile boolean aborted;
    volatile int state;
    volatile String lastError = "";
    volatile String startError = "";

    Rank(Collectives inner) {
      this.inner = inner;
    }

    private int start(long on, Supplier<Pending> collective) {
      if (state != NcclResult.SUCCESS.ordinal()) {
        return state;
      }
      queue(on, () -> post(collective).await());
      return NcclResult.IN_PROGRESS.ordinal();
    }

    private void queue(long on, Runnable work) {
      streams.put(on, stream(on).thenRunAsync(work, Executors.newVirtualThreadPerTaskExecutor()));
    }

    /** Gives the default stream something to do. */
    void queue(Runnable kernel) {
      queue(DEFAULT_STREAM, kernel);
    }

    private CompletableFuture<Void> stream(long stream) {
      return streams.getOrDefault(stream, CompletableFuture.completedFuture(null));
    }

    private boolean isDone(CompletableFuture<Void> work) {
      try {
        work.get(10, TimeUnit.MICROSECONDS);
        return true;
      } catch (Exception e) {
        return aborted; // when a peer aborts, this rank's kernel hangs
      }
    }

    /** As a copy does that the host waits for, whatever becomes of the collectives before it. */
    private void awaitDefaultStream() {
      CompletableFuture<Void> before = stream(DEFAULT_STREAM);
      long start = System.nanoTime();
      while (!isDone(before)) {
        if (System.nanoTime() - start > 30e9) {
          throw new IllegalStateException("the host hangs in a copy");
        }
        LockSupport.parkNanos(50_000);
      }
    }

    private static Pending post(Supplier<Pending> collective) {
      try {
        return collective.get();
      } catch (CollectiveException e) {
        return () -> {
          throw e;
        };
      }
    }

    private FlatBuffer buffer(long address, long count, int type) {
      return buffer(address, count, type == FLOAT32 ? ElementType.FLOAT32 : ElementType.BFLOAT16);
    }

    /** What begins in memory that was allocated here, or just behind it, must end within it. */
    private FlatBuffer buffer(long address, long count, ElementType type) {
      FlatBuffer buffer = new FlatBuffer(address, count, type);
      Map.Entry<Long, Long> memory = allocated.floorEntry(address);
      if (memory != null) {
        long offset = address - memory.getKey();
        long bytes = memory.getValue();
        if (offset < bytes + GUARD && offset + buffer.bytes() > bytes) {
          throw new IllegalStateException(
              "%d bytes from byte %d on of an allocation of %d"
                  .formatted(buffer.bytes(), offset, bytes));
        }
      }
      return buffer;
    }

    private static Reduction op(int reduction) {
      return reduction == SUM ? Reduction.SUM : Reduction.MAX;
    }

    @Override
    public int version() {
      return 22_703;
    }

    @Override
    public byte[] uniqueId() {
      return new byte[UNIQUE_ID_BYTES];
    }

    @Override
    public long initialize(int worldSize, byte[] uniqueId, int rank) {
      if (!startError.isEmpty()) {
        throw new IllegalStateException(startError);
      }
      return 1;
    }

    @Override
    public int asyncError(long communicator) {
      boolean hesitates = state == 0 && questions.incrementAndGet() % 2 == 1;
      return hesitates ? NcclResult.IN_PROGRESS.ordinal() : state;
    }

    @Override
    public int allReduce(
        long send, long receive, long count, int type, int op, long communicator, long on) {
      FlatBuffer values = buffer(send, count, type);
      return start(on, () -> inner.allReduce(values, op(op)));
    }

    @Override
    public int reduceScatter(
        long send, long receive, long count, int type, int op, long comm, long on) {
      FlatBuffer input = buffer(send, count * inner.worldSize(), type);
      FlatBuffer output = buffer(receive, count, type);
      return start(on, () -> inner.reduceScatter(input, output));
    }

    @Override
    public int allGather(
        long send, long receive, long count, int type, long communicator, long on) {
      FlatBuffer input = buffer(send, count, type);
      FlatBuffer output = buffer(receive, count * inner.worldSize(), type);
      return start(on, () -> inner.allGather(input, output));
    }

    @Override
    public int broadcast(
        long send, long receive, long count, int type, int root, long comm, long on) {
      FlatBuffer values = buffer(send, count, type);
      return start(on, () -> inner.broadcast(values, root));
    }

    @Override
    public int groupStart() {
      return 0;
    }

    @Override
    public int groupEnd() {
      return 0;
    }

    @Override
    public int finish(long communicator) {
      return 0;
    }

    @Override
    public int destroy(long communicator) {
      return 0;
    }

    @Override
    public int abort(long communicator) {
      aborts.incrementAndGet();
      aborted = true;
      inner.abort("aborted");
      return 0;
    }

    @Override
    public String lastError(long communicator) {
      return lastError;
    }

    @Override
    public void use() {}

    @Override
    public long createStream() {
      return track(handles.incrementAndGet());
    }

    @Override
    public void destroyStream(long gone) {
      giveBack(gone);
    }

    @Override
    public long createEvent() {
      return track(handles.incrementAndGet());
    }

    @Override
    public void destroyEvent(long event) {
      giveBack(event);
    }

    private long track(long handle) {
      live.add(handle);
      made.incrementAndGet();
      return handle;
    }

    private void giveBack(long handle) {
      if (!live.remove(handle)) {
        throw new IllegalStateException(handle + " is given back twice, or was never made");
      }
    }

    @Override
    public void record(long event, long on) {
      if (!live.contains(event)) {
        throw new IllegalStateException("event " + event + " is no more");
      }
      events.put(event, stream(on));
    }

    @Override
    public void waitFor(long on, long event) {
      streams.merge(
          on, events.get(event), (before, awaited) -> CompletableFuture.allOf(before, awaited));
    }

    @Override
    public boolean isDone(long event) {
      if (!live.contains(event)) {
        throw new IllegalStateException("event " + event + " is no more");
      }
      return isDone(events.get(event));
    }

    @Override
    public long allocate(long bytes) {
      long address = Arena.global().allocate(bytes + GUARD, 64).address();
      allocated.put(address, bytes);
      return track(address);
    }

    @Override
    public void free(long address) {
      allocated.remove(address);
      giveBack(address);
    }

    @Override
    public void copyToGpu(long address, MemorySegment from) {
      awaitDefaultStream();
      buffer(address, from.byteSize() / 2, ElementType.BFLOAT16).segment().copyFrom(from);
    }

    @Override
    public void copyFromGpu(long address, MemorySegment into) {
      awaitDefaultStream();
      into.copyFrom(buffer(address, into.byteSize() / 2, ElementType.BFLOAT16).segment());
    }
  }
}
