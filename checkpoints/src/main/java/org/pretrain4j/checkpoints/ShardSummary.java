package org.pretrain4j.checkpoints;

import java.util.List;
import org.pretrain4j.checkpoints.storage.BlockChecksums;

/**
 * What a rank says about the shard that it wrote; the file beside the shard.
 *
 * @param format always {@link SealedJson#FORMAT}
 * @param version version of the format
 * @param step number of steps done
 * @param attempt the start of the run that wrote it
 * @param rank the rank that wrote it
 * @param worldSize number of ranks
 * @param file name of the shard
 * @param bytes its size in bytes
 * @param dataStart position of its first tensor's first byte
 * @param layoutFingerprint fingerprint of the flat layout
 * @param kinds kinds of values, in the order in which they lie in the shard
 * @param ranges the ranges whose packed values it holds, for each kind
 * @param blockBytes size of a block in bytes
 * @param blockCrc32c checksums of the blocks, 8 hexadecimal digits each
 */
record ShardSummary(
    String format,
    int version,
    long step,
    String attempt,
    int rank,
    int worldSize,
    String file,
    long bytes,
    long dataStart,
    String layoutFingerprint,
    List<String> kinds,
    List<FlatRange> ranges,
    int blockBytes,
    String blockCrc32c) {
  ShardSummary {
    kinds = List.copyOf(kinds);
    ranges = List.copyOf(ranges);
    BlockChecksums.fromHex(bytes, blockBytes, blockCrc32c);
  }

  static String shardName(int rank, int worldSize) {
    return "rank-%05d-of-%05d.safetensors".formatted(rank, worldSize);
  }

  static String summaryName(int rank, int worldSize) {
    return "rank-%05d-of-%05d.json".formatted(rank, worldSize);
  }

  BlockChecksums checksums() {
    return BlockChecksums.fromHex(bytes, blockBytes, blockCrc32c);
  }
}
