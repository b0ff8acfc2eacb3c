package org.pretrain4j.data.shuffle;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/**
 * Reads a run from its beginning to its end, bucket by bucket. Takes one open file and little more
 * memory than its buffer, however many buckets there are.
 */
final class RunReader implements AutoCloseable {
  /** Takes the sequences of a bucket one by one. */
  @FunctionalInterface
  interface Sink {
    void accept(byte[] sequence) throws IOException;
  }

  private static final int BUFFER_BYTES = 1 << 19;
  private static final int INDEX_ENTRIES = 4096;

  private final Path path;
  private final int sequenceBytes;
  private final int buckets;
  private final long sequences;
  private final FSDataInputStream file;
  private final InputStream in;
  private final CRC32C crc = new CRC32C();
  // The index from the next bucket on, as far as it was read.
  private ByteBuffer index = ByteBuffer.allocate(0);
  private int bucket;
  private long position;

  /**
   * @param firstBucket that {@link #next} gives first
   */
  RunReader(Storage storage, Path path, int sequenceBytes, int buckets, int firstBucket)
      throws IOException {
    long length = storage.status(path).getLen();
    this.path = path;
    this.sequenceBytes = sequenceBytes;
    this.buckets = buckets;
    this.sequences = (length - (long) RunWriter.ENTRY_BYTES * buckets) / sequenceBytes;
    if (length != sequences * sequenceBytes + (long) RunWriter.ENTRY_BYTES * buckets) {
      throw damaged();
    }
    this.file = storage.open(path);
    try {
      if (firstBucket > 0) {
        bucket = firstBucket - 1;
        position = nextEntry().getLong();
        bucket = firstBucket;
        if (position < 0 || position > sequences) {
          throw damaged();
        }
        index = ByteBuffer.allocate(0);
        file.seek(position * sequenceBytes);
      }
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
    this.in = new BufferedInputStream(file, Math.clamp(length, 1, BUFFER_BYTES));
  }

  /** Begins at the number of the bucket's last sequence plus one; its checksum follows. */
  private ByteBuffer nextEntry() throws IOException {
    if (!index.hasRemaining()) {
      byte[] entries = new byte[RunWriter.ENTRY_BYTES * Math.min(INDEX_ENTRIES, buckets - bucket)];
      file.readFully(sequences * sequenceBytes + (long) RunWriter.ENTRY_BYTES * bucket, entries);
      index = ByteBuffer.wrap(entries);
    }
    return index;
  }

  /**
   * Gives the sequences of the next bucket.
   *
   * @throws UserException if they are not what was written
   */
  void next(Sink sink) throws IOException {
    ByteBuffer entry = nextEntry();
    long end = entry.getLong();
    int checksum = entry.getInt();
    if (end < position || end > sequences) {
      throw damaged();
    }
    crc.reset();
    for (; position < end; position++) {
      byte[] sequence = new byte[sequenceBytes];
      if (in.readNBytes(sequence, 0, sequenceBytes) < sequenceBytes) {
        throw new EOFException(path + " ends too early");
      }
      crc.update(sequence);
      sink.accept(sequence);
    }
    if ((int) crc.getValue() != checksum) {
      throw damaged();
    }
    bucket++;
  }

  private UserException damaged() {
    return new UserException(path.toUri().getPath() + ": is damaged; delete it and shuffle again");
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
