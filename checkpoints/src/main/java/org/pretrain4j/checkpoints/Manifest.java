package org.pretrain4j.checkpoints;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The file that makes a folder a checkpoint: it names all shards and says who owns what.
 *
 * @param format always {@link SealedJson#FORMAT}
 * @param version version of the format
 * @param step number of steps done
 * @param savedAtSeconds when it was published, in seconds since 1970
 * @param attempt the start of the run that wrote it
 * @param worldSize number of ranks that wrote it
 * @param kinds kinds of values, in the order in which they lie in each shard
 * @param layout the flat space
 * @param shards one a rank, in the order of the ranks
 * @param state everything besides the tensors
 */
record Manifest(
    String format,
    int version,
    long step,
    long savedAtSeconds,
    String attempt,
    int worldSize,
    List<String> kinds,
    FlatLayout layout,
    List<Shard> shards,
    CheckpointState state) {

  static final String FILE_NAME = "manifest.json";

  /**
   * One file of tensors.
   *
   * @param rank the rank that wrote it
   * @param file its name in the folder
   * @param bytes its size in bytes
   * @param dataStart position of its first tensor's first byte
   * @param ranges the ranges whose packed values it holds, for each kind
   * @param checksumsFile name of the file with the checksums of its blocks
   * @param checksumsCrc32c checksum in the first line of that file
   */
  record Shard(
      int rank,
      String file,
      long bytes,
      long dataStart,
      List<FlatRange> ranges,
      String checksumsFile,
      String checksumsCrc32c) {
    Shard {
      requirePlainName(file);
      requirePlainName(checksumsFile);
      ranges = List.copyOf(ranges);
    }

    /** Number of elements of each kind. */
    long elements() {
      return ranges.stream().mapToLong(FlatRange::length).sum();
    }
  }

  Manifest {
    kinds = List.copyOf(kinds);
    shards = List.copyOf(shards);
    if (shards.size() != worldSize) {
      throw new IllegalArgumentException(
          shards.size() + " shards can't be those of " + worldSize + " ranks");
    }
    if (state == null || state.step() != step) {
      throw new IllegalArgumentException("the state is not that of step " + step);
    }
    requireCovered(layout, shards);
    for (Shard shard : shards) {
      long end = shard.dataStart() + shard.elements() * Float.BYTES * kinds.size();
      if (shard.bytes() != end) {
        throw new IllegalArgumentException(
            "%s should have %d bytes, not %d".formatted(shard.file(), end, shard.bytes()));
      }
    }
  }

  private static void requirePlainName(String name) {
    if (name == null || name.isEmpty() || name.startsWith(".") || name.matches(".*[/\\\\:].*")) {
      throw new IllegalArgumentException("the file name " + name + " leads out of the folder");
    }
  }

  /** Each element of the flat space must be in exactly one shard. */
  private static void requireCovered(FlatLayout layout, List<Shard> shards) {
    List<FlatRange> ranges = new ArrayList<>();
    shards.forEach(shard -> ranges.addAll(shard.ranges()));
    ranges.removeIf(range -> range.length() == 0);
    ranges.sort(Comparator.comparingLong(FlatRange::start));
    long next = 0;
    for (FlatRange range : ranges) {
      if (range.start() != next) {
        throw new IllegalArgumentException(
            range.start() < next
                ? "two ranks own the element " + range.start() + " of the flat space"
                : "no rank owns the element " + next + " of the flat space");
      }
      next = range.end();
    }
    if (next != layout.elements()) {
      throw new IllegalArgumentException(
          "the ranks own %d elements of a flat space of %d".formatted(next, layout.elements()));
    }
  }
}
