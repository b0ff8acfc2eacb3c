package org.pretrain4j.trainer.parallel.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;

/**
 * Native memory that is used again: a step's collectives have the same sizes as the step's before,
 * so after the first step nothing is allocated. Never freed, since MPI may still write to it after
 * a failure. Not thread-safe.
 */
final class ScratchPool {
  private static final long GRAIN = 64;

  private final Arena arena = Arena.global();
  private final Map<Long, Deque<MemorySegment>> free = new HashMap<>();

  /** At least this many bytes, aligned to 64, of any content. */
  MemorySegment take(long bytes) {
    long size = Math.ceilDiv(Math.max(1, bytes), GRAIN) * GRAIN;
    Deque<MemorySegment> same = free.get(size);
    return same == null || same.isEmpty() ? arena.allocate(size, GRAIN) : same.pop();
  }

  void give(MemorySegment segment) {
    free.computeIfAbsent(segment.byteSize(), size -> new ArrayDeque<>()).push(segment);
  }
}
