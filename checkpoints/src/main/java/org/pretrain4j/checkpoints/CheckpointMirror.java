package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.storage.BlockChecksums;
import org.pretrain4j.checkpoints.storage.BlockReader;
import org.pretrain4j.checkpoints.storage.ChecksummedOutput;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.UserException;

/**
 * Copies checkpoints to a second folder, which may be on another file system. Every block is
 * verified while it is read, the copy appears by one rename, and a copy that was broken off goes on
 * with the files that are still missing.
 */
public final class CheckpointMirror implements AutoCloseable {
  private static final String ATTEMPT = "mirror";
  private static final int PIECE_BYTES = 8 << 20;

  private final CheckpointStore source;
  private final CheckpointStore target;
  private final Consumer<String> warn;
  private final ExecutorService background =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().name("checkpoint-mirror").daemon().factory());

  /**
   * Copies from one store to another.
   *
   * @param warn told in one line about each copy in the background that failed
   */
  public CheckpointMirror(CheckpointStore source, CheckpointStore target, Consumer<String> warn) {
    this.source = source;
    this.target = target;
    this.warn = warn;
  }

  /**
   * Copies in the background, one checkpoint at a time, the newest first, all that the target lacks
   * up to the given step. A failure is only a warning: the next call tries again.
   */
  public void copyInBackground(long upToStep) {
    background.execute(() -> copyMissing(upToStep));
  }

  /**
   * As {@link #copyInBackground}, and then pins in the target what is pinned in the source and
   * deletes there what neither the policy keeps nor the source has.
   */
  public void followInBackground(long upToStep, RetentionPolicy policy) {
    background.execute(
        () -> {
          try {
            if (copyMissing(upToStep)) {
              source.tags().forEach(this::pinCopy);
              target.retain(policy, Set.copyOf(source.steps()), warn);
            }
          } catch (UserException e) {
            warn.accept("the copies in " + target.root() + " can't follow: " + e.getMessage());
          }
        });
  }

  private void pinCopy(String tag, long step) {
    if (target.steps().contains(step) && !Long.valueOf(step).equals(target.tags().get(tag))) {
      target.pin(step, tag);
    }
  }

  /** Returns whether all that was to be copied now is. */
  private boolean copyMissing(long upToStep) {
    boolean complete = true;
    for (long step : source.steps().reversed()) {
      if (Thread.currentThread().isInterrupted()) {
        return false;
      }
      try {
        if (step <= upToStep) {
          copy(step);
        }
      } catch (UserException e) {
        if (source.steps().contains(step)) { // Else it was deleted in the meantime.
          complete = false;
          warn.accept("a checkpoint was not copied: " + e.getMessage());
        }
      }
    }
    return complete;
  }

  /**
   * Copies one checkpoint and returns when it is durable; nothing happens if the target has it.
   *
   * @throws DamagedCheckpointException if the source is damaged
   * @throws CheckpointWriteException if the target can't be written
   */
  public void copy(long step) {
    Checkpoint checkpoint = source.open(step);
    try {
      if (isCopied(checkpoint)) {
        return;
      }
    } catch (IOException e) {
      throw new CheckpointWriteException(target.root() + " can't be read", e);
    }
    copyAnew(step);
  }

  /** As {@link #copy}, but takes the place of what the target has. */
  public void copyAnew(long step) {
    Checkpoint checkpoint = source.open(step);
    checkpoint.verifySizes();
    Path staging = target.stage(step, ATTEMPT).folder();
    try {
      for (Manifest.Shard shard : checkpoint.manifest().shards()) {
        copyShard(checkpoint, shard, new Path(staging, shard.file()));
        copySmall(checkpoint, shard.checksumsFile(), staging);
      }
      copySmall(checkpoint, Manifest.FILE_NAME, staging);
      target.files().syncFolder(staging);
      target.publish(step, ATTEMPT, staging);
    } catch (IOException e) {
      throw new CheckpointWriteException(
          "the copy of step %d can't be written to %s".formatted(step, target.root()), e);
    }
  }

  private boolean isCopied(Checkpoint checkpoint) throws IOException {
    if (!target.steps().contains(checkpoint.step())) {
      return false;
    }
    try {
      Checkpoint copy = target.open(checkpoint.step());
      copy.verifySizes();
      return copy.manifest().equals(checkpoint.manifest());
    } catch (DamagedCheckpointException e) {
      return false; // Copied again.
    }
  }

  private void copyShard(Checkpoint checkpoint, Manifest.Shard shard, Path to) throws IOException {
    DurableFileSystem targetFiles = target.files();
    BlockChecksums checksums = checkpoint.summary(shard).checksums();
    if (targetFiles.exists(to) && targetFiles.length(to) == shard.bytes()) {
      try {
        new BlockReader(targetFiles, to, checksums).verify(0, checksums.blocks().length);
        return; // Copied before the last attempt broke off.
      } catch (IOException e) {
        warn.accept("copied again: " + e.getMessage());
      }
    }
    Path from = new Path(checkpoint.folder(), shard.file());
    BlockReader reader = new BlockReader(checkpoint.files(), from, checksums);
    byte[] piece = new byte[(int) Math.min(PIECE_BYTES, shard.bytes())];
    try (ChecksummedOutput out = targetFiles.create(to, checksums.blockBytes())) {
      for (long done = 0; done < shard.bytes(); done += piece.length) {
        int length = (int) Math.min(piece.length, shard.bytes() - done);
        MemorySegment values = MemorySegment.ofArray(piece).asSlice(0, length);
        try {
          reader.read(done, values);
        } catch (IOException e) {
          throw new DamagedCheckpointException(
              "%s is damaged: %s".formatted(checkpoint.folder(), e.getMessage()), e);
        }
        out.write(values);
      }
      out.finish();
    }
  }

  private void copySmall(Checkpoint checkpoint, String name, Path staging) throws IOException {
    byte[] content = checkpoint.files().read(new Path(checkpoint.folder(), name));
    target.files().write(new Path(staging, name), content);
  }

  /** Gives up the copies in the background; a later start goes on with what is missing. */
  public void giveUp() {
    background.shutdownNow();
  }

  /** Waits for the copies in the background. */
  @Override
  public void close() {
    background.close();
  }
}
