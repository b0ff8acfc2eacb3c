package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.safetensors.SafetensorsWriter;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.BlockChecksums;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;

/**
 * A checkpoint that is being written, in a hidden folder that no reader looks at. Ranks that are
 * threads of one process may share one object.
 */
public final class StagedCheckpoint {
  private final CheckpointStore store;
  private final DurableFileSystem files;
  private final Path folder;
  private final long step;
  private final String attempt;
  private final StagedShards shards;
  private volatile FlatLayout layout;

  StagedCheckpoint(CheckpointStore store, Path folder, long step, String attempt) {
    this.store = store;
    this.files = store.files();
    this.folder = folder;
    this.step = step;
    this.attempt = attempt;
    this.shards = new StagedShards(files, folder, step, attempt);
  }

  /**
   * Writes the shard of one rank and makes it durable.
   *
   * @param layout the flat space, the same on all ranks
   * @param ranges the ranges that this rank owns; no other rank owns any element of them
   * @param kinds the packed fp32 values of the ranges in their order, by kind; each has 4 bytes for
   *     each element of the ranges, and may be larger than 2 GiB
   * @throws CheckpointWriteException if the disk is full or the file can't be written
   */
  public void writeShard(
      int rank,
      int worldSize,
      FlatLayout layout,
      List<FlatRange> ranges,
      Map<String, MemorySegment> kinds) {
    Map<String, MemorySegment> sorted = new TreeMap<>(kinds);
    long bytes = Float.BYTES * ranges.stream().mapToLong(FlatRange::length).sum();
    sorted.forEach(
        (kind, values) -> {
          if (values.byteSize() != bytes) {
            throw new IllegalArgumentException(
                "%s of rank %d has %d bytes, its ranges need %d"
                    .formatted(kind, rank, values.byteSize(), bytes));
          }
        });
    writeShard(
        rank,
        worldSize,
        layout,
        ranges,
        List.copyOf(sorted.keySet()),
        writer -> {
          for (MemorySegment values : sorted.values()) {
            writer.write(values);
          }
        });
  }

  /** Delivers the packed values of a shard, kind after kind, in pieces of any size. */
  @FunctionalInterface
  interface Values {
    void writeTo(SafetensorsWriter writer) throws IOException;
  }

  /** As the public one, with values that need not be in memory at the same time. */
  void writeShard(
      int rank,
      int worldSize,
      FlatLayout layout,
      List<FlatRange> ranges,
      List<String> kinds,
      Values values) {
    if (rank < 0 || rank >= worldSize) {
      throw new IllegalArgumentException("no rank " + rank + " in a world of " + worldSize);
    }
    this.layout = layout;
    Path shard = new Path(folder, ShardSummary.shardName(rank, worldSize));
    try {
      write(shard, rank, worldSize, ranges, kinds, values);
    } catch (IOException e) {
      deleteQuietly(shard, e);
      throw new CheckpointWriteException(
          "the checkpoint of step %d can't be written to %s".formatted(step, shard), e);
    }
  }

  private void write(
      Path shard,
      int rank,
      int worldSize,
      List<FlatRange> ranges,
      List<String> kinds,
      Values values)
      throws IOException {
    files.createFolder(folder);
    Path summaryPath = new Path(folder, ShardSummary.summaryName(rank, worldSize));
    files.delete(summaryPath); // It must not speak for a shard that is just being overwritten.
    List<TensorSpec> tensors = ShardPieces.tensors(layout, ranges, kinds);
    Map<String, String> metadata =
        Map.of(
            "format", SealedJson.FORMAT,
            "step", Long.toString(step),
            "rank", Integer.toString(rank),
            "world_size", Integer.toString(worldSize));
    BlockChecksums checksums;
    long dataStart;
    try (SafetensorsWriter writer = SafetensorsWriter.create(files, shard, tensors, metadata)) {
      dataStart = writer.dataStart();
      values.writeTo(writer);
      checksums = writer.finish();
    }
    ShardSummary summary =
        new ShardSummary(
            SealedJson.FORMAT,
            SealedJson.VERSION,
            step,
            attempt,
            rank,
            worldSize,
            shard.getName(),
            checksums.bytes(),
            dataStart,
            SealedJson.fingerprint(layout),
            kinds,
            ranges,
            checksums.blockBytes(),
            checksums.toHex());
    // As soon as rank 0 sees the last summary it may rename the folder: the summary appears when
    // all is durable, and nothing in here comes after it. Rank 0 syncs the folder.
    Path hidden = new Path(folder, "." + summaryPath.getName());
    SealedJson.write(files, hidden, summary);
    files.renameUnsynced(hidden, summaryPath);
  }

  /**
   * Makes the checkpoint visible, all of it at once. To be called by rank 0 alone, on the object
   * with which it wrote its own shard, after all ranks have written theirs. A checkpoint of the
   * same step that is already there is replaced.
   *
   * @throws CheckpointWriteException if a shard is missing, cut short or does not fit the others,
   *     or if the manifest can't be written
   */
  public void publish(int worldSize, CheckpointState state) {
    if (layout == null) {
      throw new IllegalStateException("rank 0 publishes what it has not written a shard of");
    }
    if (state.step() != step) {
      throw new IllegalArgumentException(
          "the state of step " + state.step() + " can't be published at step " + step);
    }
    try {
      Manifest manifest = shards.collect(worldSize, layout, store.nowSeconds(), state);
      shards.deleteOthers(manifest);
      SealedJson.write(files, new Path(folder, Manifest.FILE_NAME), manifest);
      files.syncFolder(folder);
      store.publish(step, attempt, folder);
    } catch (IOException | IllegalArgumentException e) {
      throw new CheckpointWriteException(
          "the checkpoint of step %d can't be published in %s".formatted(step, store.root()), e);
    }
  }

  /**
   * Waits until all ranks have written their shards and publishes. This needs no barrier: a rank's
   * summary appears after its shard is durable, and rank 0 looks for the summaries.
   *
   * @param timeout how long to wait for the slowest rank
   * @throws CheckpointWriteException also if a rank has not written its shard in time
   */
  public void publishWhenComplete(int worldSize, CheckpointState state, Duration timeout) {
    long deadline = System.nanoTime() + timeout.toNanos();
    long pauseMillis = 5;
    int rank = 0;
    while (true) {
      while (rank < worldSize && shards.isWritten(rank, worldSize)) {
        rank++;
      }
      if (rank == worldSize) {
        publish(worldSize, state);
        return;
      }
      if (System.nanoTime() > deadline) {
        throw new CheckpointWriteException(
            "the checkpoint of step %d can't be published".formatted(step),
            new IOException(
                "rank %d has not written its shard to %s within %d seconds"
                    .formatted(rank, folder, timeout.toSeconds())));
      }
      try {
        Thread.sleep(pauseMillis);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CheckpointWriteException(
            "the checkpoint of step %d can't be published".formatted(step),
            new InterruptedIOException("interrupted while waiting for rank " + rank));
      }
      pauseMillis = Math.min(1000, 2 * pauseMillis);
    }
  }

  Path folder() {
    return folder;
  }

  /** Deletes what was staged, for a save that is given up. */
  public void discard() {
    try {
      files.delete(folder);
    } catch (IOException e) {
      throw new CheckpointWriteException("the folder " + folder + " can't be deleted", e);
    }
  }

  /** As {@link #discard}, after a failure that the caller passes on. */
  void discardAfter(Throwable reason) {
    try {
      discard();
    } catch (CheckpointWriteException e) {
      reason.addSuppressed(e);
    }
  }

  private void deleteQuietly(Path path, IOException reason) {
    try {
      files.delete(path); // A full disk has room again.
    } catch (IOException e) {
      reason.addSuppressed(e);
    }
  }
}
