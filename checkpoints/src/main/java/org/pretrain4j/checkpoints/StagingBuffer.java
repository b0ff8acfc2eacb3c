package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * A bounded pipe of off-heap chunks between one thread that copies in and one that writes out. The
 * chunks are allocated when they are first needed and then used again.
 */
final class StagingBuffer implements AutoCloseable {
  private static final long CHUNK_BYTES = 16L << 20;

  /** Takes a piece of the values. */
  @FunctionalInterface
  interface Sink {
    void write(MemorySegment piece) throws IOException;
  }

  private record Piece(MemorySegment chunk, long length) {}

  private final Arena arena = Arena.ofShared();
  private final long chunkBytes;
  private final int maxChunks;
  private final Deque<MemorySegment> free = new ArrayDeque<>();
  private final Deque<Piece> full = new ArrayDeque<>();
  // Belongs to the copying side.
  private MemorySegment filling;
  private long filled;
  private int allocated;
  private boolean consuming;
  private boolean abandoned;

  StagingBuffer(long bytes) {
    chunkBytes = Math.min(bytes, CHUNK_BYTES);
    maxChunks = Math.toIntExact(bytes / chunkBytes);
  }

  /** Begins a new transfer, after the last one has ended. */
  synchronized void reset() {
    flush();
    while (!full.isEmpty()) {
      free.add(full.remove().chunk());
    }
    consuming = true;
    abandoned = false;
  }

  /**
   * Copies values in, waiting for room. Chunks are filled across calls; {@link #flush} ends the
   * transfer.
   *
   * @return false if the other side has ended early
   */
  boolean copy(StateSource values) throws InterruptedException {
    long from = 0;
    while (from < values.bytes()) {
      if (filling == null) {
        filling = takeFree();
        filled = 0;
        if (filling == null) {
          return false;
        }
      }
      long length = Math.min(chunkBytes - filled, values.bytes() - from);
      values.copyTo(from, filling.asSlice(filled, length));
      filled += length;
      from += length;
      if (filled == chunkBytes) {
        flush();
      }
    }
    return true;
  }

  /** Hands on what was copied in so far. */
  synchronized void flush() {
    if (filling != null) {
      full.add(new Piece(filling, filled));
      filling = null;
      notifyAll();
    }
  }

  private synchronized MemorySegment takeFree() throws InterruptedException {
    while (consuming && free.isEmpty() && allocated == maxChunks) {
      wait();
    }
    if (!consuming) {
      return null;
    }
    if (free.isEmpty()) {
      allocated++;
      return arena.allocate(chunkBytes, 64);
    }
    return free.remove();
  }

  /** Hands a number of bytes to the sink, waiting for them. */
  void drain(long bytes, Sink sink) throws IOException, InterruptedException {
    long done = 0;
    while (done < bytes) {
      Piece piece = takeFull();
      try {
        sink.write(piece.chunk().asSlice(0, piece.length()));
      } finally {
        synchronized (this) {
          free.add(piece.chunk());
          notifyAll();
        }
      }
      done += piece.length();
    }
  }

  private synchronized Piece takeFull() throws IOException, InterruptedException {
    while (full.isEmpty() && !abandoned) {
      wait();
    }
    if (abandoned) {
      throw new IOException("the save was broken off");
    }
    return full.remove();
  }

  /** The writing side has ended; whoever still copies needs not go on. */
  synchronized void stopConsuming() {
    consuming = false;
    notifyAll();
  }

  /** The copying side gives up. */
  synchronized void abandon() {
    abandoned = true;
    notifyAll();
  }

  synchronized long allocatedBytes() {
    return allocated * chunkBytes;
  }

  @Override
  public void close() {
    arena.close();
  }
}
