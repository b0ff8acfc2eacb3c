package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
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
  private static final long NONE = -1;
  private static final long SECONDS_UNTIL_INTERRUPTED = 5;

  private final CheckpointStore source;
  private final CheckpointStore target;
  private final Consumer<String> warn;
  private final ExecutorService background =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().name("checkpoint-mirror").daemon().factory());
  private volatile long copying = NONE;
  private volatile boolean spared;
  private volatile boolean givenUp;

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
    background.execute(
        () -> {
          try {
            copyMissing(upToStep);
          } catch (RuntimeException e) {
            failed(e);
          }
        });
  }

  /**
   * As {@link #copyInBackground}, and then pins in the target what is pinned in the source and
   * deletes there what neither the policy keeps nor the source has; and in the source what was only
   * kept until it was copied.
   */
  public void followInBackground(long upToStep, RetentionPolicy policy) {
    background.execute(
        () -> {
          try {
            boolean complete = copyMissing(upToStep);
            if (spared && !givenUp) {
              spared = false;
              retainSource(policy);
            }
            if (complete) {
              followTags();
              target.retain(policy, Set.copyOf(source.steps())::contains, warn);
            }
          } catch (RuntimeException e) {
            failed(e);
          }
        });
  }

  /** The copies go on with the next save; a run that gives them up knows why they fail. */
  private void failed(RuntimeException reason) {
    if (!givenUp) {
      warn.accept("the copies in " + target.root() + " can't follow: " + reason.getMessage());
    }
  }

  /**
   * Deletes in the source what the policy does not keep, but not what is just being copied: else a
   * copy that takes longer than the time between saves would never come to its end. What goes
   * before it was copied is warned about.
   *
   * @throws CheckpointWriteException if one can't be deleted
   */
  public void retainSource(RetentionPolicy policy) {
    List<Long> deleted = source.retain(policy, this::isCopying, warn);
    if (deleted.isEmpty()) {
      return;
    }
    try {
      unpinCopies(deleted); // Retention deletes nothing that is pinned.
      for (long step : deleted) {
        if (!target.steps().contains(step)) {
          warn.accept(
              "step %d was deleted before it was copied to %s: copying is slower than saving; save less often or keep more"
                  .formatted(step, target.root()));
        }
      }
    } catch (UserException e) {
      failed(e);
    }
  }

  private void followTags() {
    unpinCopies(source.steps());
    source.tags().forEach(this::pinCopy);
  }

  /** Pins of other steps stay: a source that was lost knows nothing about them. */
  private void unpinCopies(List<Long> known) {
    Set<String> pinned = source.tags().keySet();
    target
        .tags()
        .forEach(
            (tag, step) -> {
              if (known.contains(step) && !pinned.contains(tag)) {
                target.unpin(tag);
              }
            });
  }

  private boolean isCopying(long step) {
    boolean is = step == copying;
    spared |= is;
    return is;
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
      if (givenUp) {
        return false;
      }
      try {
        if (step <= upToStep) {
          copying = step;
          copy(step);
        }
      } catch (RuntimeException e) {
        if (givenUp) {
          return false;
        }
        if (source.steps().contains(step)) { // Else it was deleted in the meantime.
          complete = false;
          warn.accept("a checkpoint was not copied: " + e.getMessage());
        }
      } finally {
        copying = NONE;
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
        copyShard(checkpoint, shard, staging);
      }
      copySmall(checkpoint, Manifest.FILE_NAME, staging);
      target.files().syncFolder(staging);
      // A copy of another step that broke off goes on later, if its source is still there.
      Set<Long> wanted = Set.copyOf(source.steps());
      target.publish(step, ATTEMPT, staging, leftover -> !wanted.contains(leftover));
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

  /**
   * The file of checksums comes after the shard is durable. Without it a shard may look whole to a
   * process that was killed and started again, and still be lost when the machine goes down.
   */
  private void copyShard(Checkpoint checkpoint, Manifest.Shard shard, Path staging)
      throws IOException {
    DurableFileSystem targetFiles = target.files();
    Path to = new Path(staging, shard.file());
    Path synced = new Path(staging, shard.checksumsFile());
    BlockChecksums checksums = checkpoint.summary(shard).checksums();
    if (targetFiles.exists(synced)
        && targetFiles.exists(to)
        && targetFiles.length(to) == shard.bytes()) {
      try {
        new BlockReader(targetFiles, to, checksums).verify(0, checksums.blocks().length);
        copySmall(checkpoint, shard.checksumsFile(), staging);
        return; // Copied before the last attempt broke off.
      } catch (IOException e) {
        warn.accept("copied again: " + e.getMessage());
      }
    }
    targetFiles.delete(synced); // It must not speak for a shard that is just being overwritten.
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
    copySmall(checkpoint, shard.checksumsFile(), staging);
  }

  private void copySmall(Checkpoint checkpoint, String name, Path staging) throws IOException {
    byte[] content = checkpoint.files().read(new Path(checkpoint.folder(), name));
    target.files().write(new Path(staging, name), content);
  }

  /** Gives up the copies in the background; a later start goes on with what is missing. */
  public void giveUp() {
    givenUp = true;
    background.shutdownNow();
    try {
      background.awaitTermination(SECONDS_UNTIL_INTERRUPTED, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits for the copies in the background. */
  @Override
  public void close() {
    background.close();
  }
}
