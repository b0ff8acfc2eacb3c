package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.time.Duration;
import java.util.List;
import java.util.function.LongConsumer;
import org.pretrain4j.checkpoints.safetensors.SafetensorsWriter;

/**
 * The other end of the staging buffer: takes a rank's values out of it into a shard, and publishes
 * on rank 0.
 *
 * @param published told about each step that is published
 */
record BackgroundWriter(
    CheckpointStore store,
    String attempt,
    int rank,
    int worldSize,
    Duration publishTimeout,
    LongConsumer published,
    StagingBuffer staging) {

  /** Returns when the shard is durable. */
  StagedCheckpoint write(
      FlatLayout layout, List<FlatRange> ranges, List<String> kinds, long bytes, long step) {
    try {
      StagedCheckpoint staged = store.stage(step, attempt);
      staged.writeShard(rank, worldSize, layout, ranges, kinds, shard -> drain(shard, bytes));
      return staged;
    } finally {
      staging.stopConsuming();
    }
  }

  /** Returns when all ranks have written and it is published; at once on other ranks than 0. */
  void publish(StagedCheckpoint staged, CheckpointState state) {
    if (rank != 0) {
      return;
    }
    try {
      staged.publishWhenComplete(worldSize, state, publishTimeout);
    } catch (CheckpointWriteException e) {
      staged.discardAfter(e);
      throw e;
    }
    published.accept(state.step());
  }

  private void drain(SafetensorsWriter shard, long bytes) throws IOException {
    try {
      staging.drain(bytes, shard::write);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw (IOException) new InterruptedIOException("interrupted").initCause(e);
    }
  }
}
