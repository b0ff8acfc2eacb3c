package org.pretrain4j.trainer.parallel.tcp;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.trainer.parallel.ScratchPool;

/**
 * Bytes of collectives that other ranks have begun before this one. Since large collectives take
 * turns on every rank, they are those of a few. Guarded by the lock of {@link TcpCollectives}.
 */
final class EarlyFrames {
  /**
   * What came.
   *
   * @param memory of the pool; the frame's bytes are its first
   */
  record Early(int peer, Frame frame, MemorySegment memory) {
    MemorySegment bytes() {
      return memory.asSlice(0, frame.bytes());
    }
  }

  private final ScratchPool pool;
  private final Map<Long, List<Early>> frames = new HashMap<>();

  EarlyFrames(ScratchPool pool) {
    this.pool = pool;
  }

  /** Room for a frame that is still to be read. */
  Early room(int peer, Frame frame) {
    return new Early(peer, frame, pool.take(frame.bytes()));
  }

  /**
   * Where a collective that begins receives what a rank sends first: where it lies already, or in
   * memory of the pool. Goes back to the pool at the end.
   */
  MemorySegment roomFor(long sequence, int peer, long bytes) {
    return frames.getOrDefault(sequence, List.of()).stream()
        .filter(early -> early.peer() == peer && early.frame().bytes() == bytes)
        .findFirst()
        .map(Early::memory)
        .orElseGet(() -> pool.take(bytes));
  }

  void keep(Early early) {
    frames.computeIfAbsent(early.frame().sequence(), n -> new ArrayList<>()).add(early);
  }

  /** Those of a collective that has begun; room that it has not taken is to be given back. */
  List<Early> take(long sequence) {
    List<Early> taken = frames.remove(sequence);
    return taken == null ? List.of() : taken;
  }

  void giveBack(Early early) {
    pool.give(early.memory());
  }
}
