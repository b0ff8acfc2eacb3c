package org.pretrain4j.data.shards;

import java.io.IOException;
import java.util.Optional;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.random.SplitMix64;
import org.pretrain4j.data.storage.LocalCache;
import org.pretrain4j.data.storage.Storage;

/** Reads ranges of one shard's file, through the local cache if there is one. Thread-safe. */
final class RangeReader {
  private final Storage storage;
  private final Path path;
  private final Optional<LocalCache> cache;
  private final String keyPrefix;

  /**
   * @param crc32c of the file, part of its pieces' names: another file under the same path is not
   *     mistaken for this one
   */
  RangeReader(Storage storage, Path path, String crc32c, Optional<LocalCache> cache) {
    this.storage = storage;
    this.path = path;
    this.cache = storage.isLocal(path) ? Optional.empty() : cache;
    this.keyPrefix = Long.toHexString(SplitMix64.key(path.toString())) + "-" + crc32c + "-";
  }

  byte[] read(long offset, int length) throws IOException {
    return cache.isPresent()
        ? cache.get().get(key(offset, length), () -> fetch(offset, length))
        : fetch(offset, length);
  }

  /** Has the range fetched in the background, if there is somewhere to put it. */
  void prefetch(long offset, int length) {
    cache.ifPresent(pieces -> pieces.prefetch(key(offset, length), () -> fetch(offset, length)));
  }

  /** The range proved damaged: the next read asks the source again. */
  void forget(long offset, int length) {
    cache.ifPresent(pieces -> pieces.forget(key(offset, length)));
  }

  private String key(long offset, int length) {
    return keyPrefix + offset + "-" + length;
  }

  private byte[] fetch(long offset, int length) throws IOException {
    byte[] bytes = new byte[length];
    try (FSDataInputStream in = storage.open(path)) {
      in.readFully(offset, bytes, 0, length);
    }
    return bytes;
  }
}
