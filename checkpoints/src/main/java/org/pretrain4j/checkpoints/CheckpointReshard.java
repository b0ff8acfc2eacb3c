package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.checkpoints.safetensors.SafetensorsWriter;

/**
 * Writes a checkpoint anew as if another number of ranks had saved it. Training does not need it
 * (any world reads what any other wrote); it merges many small files into few, or the reverse.
 * Holds a few megabytes at a time.
 */
public final class CheckpointReshard {
  private static final long PIECE_ELEMENTS = 1 << 20;

  private CheckpointReshard() {}

  /**
   * Copies a checkpoint into a store, cut into equal contiguous shards.
   *
   * @param target where to, another store than that of the source
   * @param worldSize number of shards
   * @throws DamagedCheckpointException if the source is damaged
   * @throws CheckpointWriteException if the target can't be written
   */
  public static void reshard(Checkpoint source, CheckpointStore target, int worldSize) {
    StagedCheckpoint staged = target.stage(source.step(), "reshard");
    List<FlatRange> cuts = cut(source.layout().elements(), worldSize);
    try {
      for (int rank = 0; rank < worldSize; rank++) {
        FlatRange range = cuts.get(rank);
        staged.writeShard(
            rank,
            worldSize,
            source.layout(),
            List.of(range),
            source.kinds(),
            shard -> stream(source, range, shard));
      }
      staged.publish(worldSize, source.state());
    } catch (RuntimeException e) {
      staged.discardAfter(e);
      throw e;
    }
  }

  private static List<FlatRange> cut(long elements, int worldSize) {
    long share = Math.ceilDiv(elements, (long) worldSize);
    List<FlatRange> cuts = new ArrayList<>();
    for (int rank = 0; rank < worldSize; rank++) {
      cuts.add(
          new FlatRange(Math.min(elements, rank * share), Math.min(elements, (rank + 1) * share)));
    }
    return cuts;
  }

  private static void stream(Checkpoint source, FlatRange range, SafetensorsWriter shard)
      throws IOException {
    MemorySegment piece =
        MemorySegment.ofArray(new float[(int) Math.min(PIECE_ELEMENTS, range.length())]);
    for (String kind : source.kinds()) {
      for (long start = range.start(); start < range.end(); start += PIECE_ELEMENTS) {
        long end = Math.min(range.end(), start + PIECE_ELEMENTS);
        MemorySegment values = piece.asSlice(0, (end - start) * Float.BYTES);
        source.read(kind, new FlatRange(start, end), values);
        shard.write(values);
      }
    }
  }
}
