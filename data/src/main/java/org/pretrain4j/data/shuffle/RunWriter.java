package org.pretrain4j.data.shuffle;

import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.zip.CRC32C;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.storage.AtomicFile;
import org.pretrain4j.data.storage.Storage;

/**
 * Writes a run: sequences in the order of their buckets, then for each bucket the number of
 * sequences up to its end (int64) and the CRC-32C of its bytes (int32), big endian. The file
 * appears when it is finished. Keeps 12 bytes for each bucket in memory.
 */
final class RunWriter implements AutoCloseable {
  static final int ENTRY_BYTES = 12;

  private final AtomicFile file;
  private final DataOutputStream out;
  private final long[] ends;
  private final int[] checksums;
  private final CRC32C crc = new CRC32C();
  private int bucket;
  private long sequences;

  RunWriter(Storage storage, Path path, int buckets) throws IOException {
    this.file = storage.createAtomically(path);
    this.out = new DataOutputStream(new BufferedOutputStream(file.stream(), 1 << 16));
    this.ends = new long[buckets];
    this.checksums = new int[buckets];
  }

  /**
   * @param to the sequence's bucket, none before that of the sequence before
   */
  void add(int to, byte[] sequence) throws IOException {
    endBucketsBefore(to);
    crc.update(sequence);
    out.write(sequence);
    sequences++;
  }

  private void endBucketsBefore(int next) {
    if (next < bucket) {
      throw new IllegalArgumentException("bucket " + next + " after " + bucket);
    }
    for (; bucket < next; bucket++) {
      ends[bucket] = sequences;
      checksums[bucket] = (int) crc.getValue();
      crc.reset();
    }
  }

  void finish() throws IOException {
    endBucketsBefore(ends.length);
    for (int i = 0; i < ends.length; i++) {
      out.writeLong(ends[i]);
      out.writeInt(checksums[i]);
    }
    out.flush();
    file.commit();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
