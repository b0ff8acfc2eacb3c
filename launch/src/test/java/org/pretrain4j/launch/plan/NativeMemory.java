package org.pretrain4j.launch.plan;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.locks.LockSupport;

/**
 * Bytes that this process has allocated outside of the Java heap, as glibc counts them: what
 * tensors, libraries and native arenas hold, without what was freed.
 */
@SuppressWarnings("restricted")
final class NativeMemory implements AutoCloseable {
  /** {@code struct mallinfo2}: ten sizes, of which uordblks is the eighth, hblkhd the fifth. */
  private static final MemoryLayout MALLINFO2 =
      MemoryLayout.sequenceLayout(10, ValueLayout.JAVA_LONG);

  private static final long IN_CHUNKS = 7;
  private static final long IN_MAPPINGS = 4;
  private static final long INTERVAL_NANOS = 500_000;

  private static final MethodHandle FUNCTION =
      Linker.nativeLinker()
          .downcallHandle(
              Linker.nativeLinker().defaultLookup().findOrThrow("mallinfo2"),
              FunctionDescriptor.of(MemoryLayout.structLayout(MALLINFO2.withName("sizes"))));

  private final Thread watcher = Thread.ofPlatform().daemon().unstarted(this::watch);
  private volatile boolean closed;
  private volatile long peak;

  NativeMemory() {
    peak = bytes();
    watcher.start();
  }

  /** Bytes that are allocated now. */
  static long bytes() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = (MemorySegment) FUNCTION.invokeExact((SegmentAllocator) arena);
      return info.getAtIndex(ValueLayout.JAVA_LONG, IN_CHUNKS)
          + info.getAtIndex(ValueLayout.JAVA_LONG, IN_MAPPINGS);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** The least that is allocated within half a second. */
  static long leastBytes() {
    long least = bytes();
    for (int i = 0; i < 50; i++) {
      LockSupport.parkNanos(10_000_000);
      least = Math.min(least, bytes());
    }
    return least;
  }

  private void watch() {
    while (!closed) {
      raisePeak();
      LockSupport.parkNanos(INTERVAL_NANOS);
    }
  }

  private synchronized void raisePeak() {
    peak = Math.max(peak, bytes());
  }

  /** The most since the last call. */
  synchronized long takePeak() {
    long most = peak;
    peak = bytes();
    return most;
  }

  @Override
  public void close() {
    closed = true;
    try {
      watcher.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
