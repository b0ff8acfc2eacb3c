package org.pretrain4j.launch;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FlatRange;

/** What the newest checkpoint of a run holds, all of whose checkpoints must be good. */
final class SavedValues {
  private SavedValues() {}

  /**
   * All values of a kind.
   *
   * @param kind such as {@code master}
   */
  static float[] of(CheckpointStore store, String kind) {
    Checkpoint checkpoint =
        store
            .newestGood(
                warning -> {
                  throw new AssertionError(warning);
                })
            .orElseThrow();
    long elements = checkpoint.layout().elements();
    try (Arena arena = Arena.ofShared()) {
      MemorySegment segment = arena.allocate(ValueLayout.JAVA_FLOAT, elements);
      checkpoint.read(kind, new FlatRange(0, elements), segment);
      return segment.toArray(ValueLayout.JAVA_FLOAT);
    }
  }
}
