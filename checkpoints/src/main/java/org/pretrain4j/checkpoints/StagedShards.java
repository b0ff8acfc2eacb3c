package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;

/** Rank 0's look at the shards of a save, as their ranks describe them. */
final class StagedShards {
  private static final Logger LOG = LogManager.getLogger(StagedShards.class);

  private final DurableFileSystem files;
  private final Path folder;
  private final long step;
  private final String attempt;

  StagedShards(DurableFileSystem files, Path folder, long step, String attempt) {
    this.files = files;
    this.folder = folder;
    this.step = step;
    this.attempt = attempt;
  }

  /** Whether a rank has written its shard and made it durable. */
  boolean isWritten(int rank, int worldSize) {
    Path path = new Path(folder, ShardSummary.summaryName(rank, worldSize));
    try {
      return files.exists(path)
          && SealedJson.read(files, path, ShardSummary.class).value().attempt().equals(attempt);
    } catch (IOException e) {
      LOG.debug("{} is not complete yet: {}", path, e.getMessage());
      return false;
    }
  }

  /** Holds what the ranks say about their shards against each other and against the files. */
  Manifest collect(int worldSize, FlatLayout layout, long nowSeconds, CheckpointState state)
      throws IOException {
    List<Manifest.Shard> shards = new ArrayList<>();
    List<String> kinds = null;
    String fingerprint = SealedJson.fingerprint(layout);
    for (int rank = 0; rank < worldSize; rank++) {
      String summaryName = ShardSummary.summaryName(rank, worldSize);
      SealedJson.Sealed<ShardSummary> sealed =
          SealedJson.read(files, new Path(folder, summaryName), ShardSummary.class);
      ShardSummary summary = sealed.value();
      kinds = kinds == null ? summary.kinds() : kinds;
      if (summary.step() != step || !summary.attempt().equals(attempt)) {
        throw new IOException(summaryName + " was written by another save");
      }
      if (!summary.layoutFingerprint().equals(fingerprint) || !summary.kinds().equals(kinds)) {
        throw new IOException("rank " + rank + " saved other parameters than rank 0");
      }
      long length = files.length(new Path(folder, summary.file()));
      if (length != summary.bytes()) {
        throw new IOException(
            "%s has %d bytes instead of %d".formatted(summary.file(), length, summary.bytes()));
      }
      shards.add(
          new Manifest.Shard(
              rank,
              summary.file(),
              summary.bytes(),
              summary.dataStart(),
              summary.ranges(),
              summaryName,
              sealed.crc32c()));
    }
    return new Manifest(
        SealedJson.FORMAT,
        SealedJson.VERSION,
        step,
        nowSeconds,
        attempt,
        worldSize,
        kinds,
        layout,
        shards,
        state);
  }

  /** A save that was broken off and repeated with fewer ranks may have left files. */
  void deleteOthers(Manifest manifest) throws IOException {
    Set<String> wanted = new HashSet<>();
    for (Manifest.Shard shard : manifest.shards()) {
      wanted.add(shard.file());
      wanted.add(shard.checksumsFile());
    }
    for (FileStatus file : files.list(folder)) {
      if (!wanted.contains(file.getPath().getName())) {
        files.delete(file.getPath());
      }
    }
  }
}
