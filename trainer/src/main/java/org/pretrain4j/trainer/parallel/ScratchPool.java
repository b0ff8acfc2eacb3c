package org.pretrain4j.trainer.parallel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * Native memory that is used again: a step's collectives have the same sizes as the step's before,
 * so after the first step nothing is allocated. Memory that is taken is never freed before it is
 * given back, since a library or a connection may write to it until then, after a failure too. Not
 * thread-safe.
 */
public final class ScratchPool implements AutoCloseable {
  /** Smaller memory is kept by its exact size, larger one serves for what is smaller, too. */
  public static final long LARGE = 64 * 1024;

  private static final long GRAIN = 64;

  private final Map<Long, Arena> arenas = new HashMap<>();
  private final Map<Long, Deque<MemorySegment>> small = new HashMap<>();
  private final TreeMap<Long, Deque<MemorySegment>> large = new TreeMap<>();
  private long bytes;

  /** At least this many bytes, aligned to 64, of any content. */
  public MemorySegment take(long wanted) {
    long size = Math.ceilDiv(Math.max(1, wanted), GRAIN) * GRAIN;
    if (size < LARGE) {
      Deque<MemorySegment> same = small.get(size);
      return same == null || same.isEmpty() ? allocate(size) : same.pop();
    }
    Map.Entry<Long, Deque<MemorySegment>> fits = large.ceilingEntry(size);
    if (fits != null) {
      return pop(fits);
    }
    // A larger one instead of the largest that is too small: as many as are used at a time.
    if (!large.isEmpty()) {
      free(pop(large.lastEntry()));
    }
    return allocate(size);
  }

  private MemorySegment pop(Map.Entry<Long, Deque<MemorySegment>> entry) {
    MemorySegment segment = entry.getValue().pop();
    if (entry.getValue().isEmpty()) {
      large.remove(entry.getKey());
    }
    return segment;
  }

  private MemorySegment allocate(long size) {
    Arena arena = Arena.ofShared();
    MemorySegment segment = arena.allocate(size, GRAIN);
    arenas.put(segment.address(), arena);
    bytes += size;
    return segment;
  }

  private void free(MemorySegment segment) {
    bytes -= segment.byteSize();
    arenas.remove(segment.address()).close();
  }

  /**
   * Takes memory back.
   *
   * @param segment as {@link #take} gave it
   */
  public void give(MemorySegment segment) {
    long size = segment.byteSize();
    (size < LARGE ? small : large).computeIfAbsent(size, n -> new ArrayDeque<>()).push(segment);
  }

  /** All memory that was allocated and not freed. */
  public long bytes() {
    return bytes;
  }

  /** Frees all memory, also what was not given back: for when nobody can touch it any more. */
  @Override
  public void close() {
    arenas.values().forEach(Arena::close);
    arenas.clear();
    small.clear();
    large.clear();
    bytes = 0;
  }
}
