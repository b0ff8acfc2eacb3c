package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.storage.BlockChecksums;
import org.pretrain4j.checkpoints.storage.BlockReader;
import org.pretrain4j.checkpoints.storage.ChecksummedOutput;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;

/** Copies single checkpoints from one store to another, and goes on where that was broken off. */
final class CheckpointCopier {
  private static final String ATTEMPT = "mirror";
  private static final int PIECE_BYTES = 8 << 20;

  private final CheckpointStore source;
  private final CheckpointStore target;
  private final Consumer<String> warn;

  CheckpointCopier(CheckpointStore source, CheckpointStore target, Consumer<String> warn) {
    this.source = source;
    this.target = target;
    this.warn = warn;
  }

  /**
   * Copies one checkpoint and returns when it is durable; nothing happens if the target has it.
   *
   * @throws DamagedCheckpointException if the source is damaged
   * @throws CheckpointWriteException if the target can't be written
   */
  void copy(long step) {
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
  void copyAnew(long step) {
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
}
