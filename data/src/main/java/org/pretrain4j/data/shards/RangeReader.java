package org.pretrain4j.data.shards;

import java.io.IOException;
import java.util.Optional;
import java.util.zip.CRC32C;
import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hdfs.BlockMissingException;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.random.SplitMix64;
import org.pretrain4j.data.storage.Pieces;
import org.pretrain4j.data.storage.Storage;

/** Reads ranges of one shard's file, through the local cache if there is one. Thread-safe. */
final class RangeReader {
  private final Storage storage;
  private final Path path;
  private final ShardEntry entry;
  private final Optional<Pieces> pieces;
  private final String keyPrefix;

  /**
   * @param entry of the file; its checksum is part of the pieces' names: another file under the
   *     same path is not mistaken for this one
   * @param pieces that a remote file is read through; a local one never is
   */
  RangeReader(Storage storage, Path path, ShardEntry entry, Optional<Pieces> pieces) {
    this.storage = storage;
    this.path = path;
    this.entry = entry;
    this.pieces = storage.isLocal(path) ? Optional.empty() : pieces;
    this.keyPrefix = Long.toHexString(SplitMix64.key(path.toString())) + "-" + entry.crc32c() + "-";
  }

  /**
   * A range whose checksum is known.
   *
   * @return empty if the source's bytes fail the checksum
   */
  Optional<byte[]> read(long offset, int length, int crc32c) throws IOException {
    return read(offset, length, crc32c, () -> fetch(offset, length));
  }

  /**
   * The end of the file. When the source is asked for it, it is asked for the file's size as well.
   *
   * @throws ShardException if the file has another size
   * @return empty if the source's bytes fail the checksum
   */
  Optional<byte[]> readFooter(int crc32c) throws IOException {
    int length = Math.toIntExact(entry.bytes() - entry.footerOffset());
    return read(
        entry.footerOffset(),
        length,
        crc32c,
        () -> {
          checkSize();
          return fetch(entry.footerOffset(), length);
        });
  }

  private Optional<byte[]> read(long offset, int length, int crc32c, Pieces.Fetch fetch)
      throws IOException {
    if (pieces.isEmpty()) {
      return Optional.of(fetch.fetch()).filter(bytes -> checksum(bytes) == crc32c);
    }
    String key = key(offset, length);
    // A kept copy that fails may be the local disk's fault: the source is asked before it counts.
    for (int i = 0; i < 2; i++) {
      byte[] bytes = pieces.get().get(key, fetch);
      if (checksum(bytes) == crc32c) {
        return Optional.of(bytes);
      }
      pieces.get().forget(key);
    }
    return Optional.empty();
  }

  private static int checksum(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, bytes.length);
    return (int) crc.getValue();
  }

  /**
   * Asks the source how long the file is.
   *
   * @throws ShardException if it is not as long as it was written
   */
  void checkSize() throws IOException {
    Shard.checkSize(path.toUri().getPath(), storage.status(path).getLen(), entry);
  }

  /**
   * True if the file is gone and its dataset is not: where the manifest is gone as well, a mount or
   * a server may have dropped out.
   */
  boolean isMissing() {
    try (FSDataInputStream manifest = storage.open(new Path(path.getParent(), Manifest.FILE))) {
      if (manifest.read() < 0) {
        return false;
      }
    } catch (IOException | UserException e) {
      return false;
    }
    try {
      // Asked after the manifest was found: a mount may have come back in between.
      storage.status(path);
      return false;
    } catch (UserException e) {
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /** Has the range fetched in the background, if there is somewhere to put it. */
  void prefetch(long offset, int length) {
    pieces.ifPresent(near -> near.prefetch(key(offset, length), () -> fetch(offset, length)));
  }

  private String key(long offset, int length) {
    return keyPrefix + offset + "-" + length;
  }

  private byte[] fetch(long offset, int length) throws IOException {
    byte[] bytes = new byte[length];
    try (FSDataInputStream in = storage.openForRanges(path, entry.bytes())) {
      in.readFully(offset, bytes, 0, length);
    } catch (BlockMissingException e) {
      // Of HDFS: no copy could be read. Whether one is left is for its name node to say.
      if (isLost(offset, length)) {
        throw new ShardException(
            path.toUri().getPath(),
            "all copies of a block of the file system are lost or corrupt; restore the file",
            e);
      }
      throw e;
    }
    return bytes;
  }

  private boolean isLost(long offset, int length) throws IOException {
    for (BlockLocation block :
        storage.fileSystem(path).getFileBlockLocations(path, offset, length)) {
      if (block.isCorrupt()) {
        return true;
      }
    }
    return false;
  }
}
