package org.pretrain4j.data.shuffle;

import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.zip.CRC32C;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.Sequence;
import org.pretrain4j.data.storage.AtomicFile;
import org.pretrain4j.data.storage.Storage;

/**
 * Temporary files of a shuffle. A file holds the sequences of a chunk sorted by bucket, then the
 * sequences and the CRC-32C of each bucket. Sequences are bytes by {@link SequenceCodec}.
 */
final class ChunkFiles {
  // A request to a remote file system costs as much as some megabytes.
  private static final int READ_BYTES = 8 << 20;

  private final Storage storage;
  private final Path folder;
  private final int tokens;
  private final int buckets;

  ChunkFiles(Storage storage, Path folder, int tokens, int buckets) throws IOException {
    this.storage = storage;
    this.folder = folder;
    this.tokens = tokens;
    this.buckets = buckets;
    storage.fileSystem(folder).mkdirs(folder);
  }

  private Path path(int chunk) {
    return new Path(folder, String.format(Locale.ROOT, "chunk-%07d", chunk));
  }

  boolean exists(int chunk) throws IOException {
    return storage.exists(path(chunk));
  }

  /** Chunks that are there; they are written in order. */
  int count() throws IOException {
    int count = 0;
    while (exists(count)) {
      count++;
    }
    return count;
  }

  void write(int chunk, Sequence[] sequences, int[] bucketOf) throws IOException {
    int[] starts = new int[buckets + 1];
    for (int bucket : bucketOf) {
      starts[bucket + 1]++;
    }
    for (int b = 0; b < buckets; b++) {
      starts[b + 1] += starts[b];
    }
    int[] sorted = new int[sequences.length];
    int[] next = starts.clone();
    for (int i = 0; i < sequences.length; i++) {
      sorted[next[bucketOf[i]]++] = i;
    }
    try (AtomicFile file = storage.createAtomically(path(chunk))) {
      DataOutputStream out = new DataOutputStream(new BufferedOutputStream(file.stream(), 1 << 16));
      int[] checksums = new int[buckets];
      for (int b = 0; b < buckets; b++) {
        CRC32C crc = new CRC32C();
        for (int i = starts[b]; i < starts[b + 1]; i++) {
          byte[] bytes = SequenceCodec.encode(sequences[sorted[i]]);
          crc.update(bytes);
          out.write(bytes);
        }
        checksums[b] = (int) crc.getValue();
      }
      for (int b = 0; b < buckets; b++) {
        out.writeInt(starts[b + 1]);
        out.writeInt(checksums[b]);
      }
      out.flush();
      file.commit();
    }
  }

  /** The sequences of one bucket, in the order of the chunks. */
  List<Sequence> read(int chunks, int bucket) throws IOException {
    List<Sequence> sequences = new ArrayList<>();
    for (int chunk = 0; chunk < chunks; chunk++) {
      readInto(path(chunk), bucket, sequences);
    }
    return sequences;
  }

  private void readInto(Path path, int bucket, List<Sequence> sequences) throws IOException {
    long length = storage.status(path).getLen();
    try (FSDataInputStream in = storage.open(path)) {
      byte[] index = new byte[bucket == 0 ? 8 : 16];
      in.readFully(length - 8L * buckets + 8L * bucket - (index.length - 8), index);
      ByteBuffer entries = ByteBuffer.wrap(index);
      int from = 0;
      if (bucket > 0) {
        from = entries.getInt();
        entries.getInt();
      }
      int to = entries.getInt();
      int checksum = entries.getInt();
      if (from < 0 || to < from || 4L * tokens * to > length - 8L * buckets) {
        throw damaged(path);
      }
      CRC32C crc = new CRC32C();
      int size = 4 * tokens;
      int atOnce = Math.max(1, READ_BYTES / size);
      for (int i = from; i < to; i += atOnce) {
        byte[] bytes = new byte[size * Math.min(atOnce, to - i)];
        in.readFully((long) size * i, bytes);
        crc.update(bytes, 0, bytes.length);
        for (int at = 0; at < bytes.length; at += size) {
          sequences.add(SequenceCodec.decode(Arrays.copyOfRange(bytes, at, at + size)));
        }
      }
      if ((int) crc.getValue() != checksum) {
        throw damaged(path);
      }
    }
  }

  private static UserException damaged(Path path) {
    return new UserException(path.toUri().getPath() + ": is damaged; delete it and shuffle again");
  }
}
