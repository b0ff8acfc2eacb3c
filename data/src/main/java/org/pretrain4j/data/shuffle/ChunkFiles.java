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
 * sequences and the CRC-32C of each bucket. A sequence is its tokens (int32, big endian); a token
 * that begins a document is stored as its complement.
 */
final class ChunkFiles {
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
    ByteBuffer buffer = ByteBuffer.allocate(4 * tokens);
    try (AtomicFile file = storage.createAtomically(path(chunk))) {
      DataOutputStream out = new DataOutputStream(new BufferedOutputStream(file.stream(), 1 << 16));
      int[] checksums = new int[buckets];
      for (int b = 0; b < buckets; b++) {
        CRC32C crc = new CRC32C();
        for (int i = starts[b]; i < starts[b + 1]; i++) {
          encode(sequences[sorted[i]], buffer);
          crc.update(buffer.array(), 0, 4 * tokens);
          out.write(buffer.array(), 0, 4 * tokens);
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

  private static void encode(Sequence sequence, ByteBuffer buffer) {
    int[] marked = sequence.tokens().clone();
    for (int start : sequence.documentStarts()) {
      marked[start] = ~marked[start];
    }
    buffer.clear();
    buffer.asIntBuffer().put(marked);
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
      byte[] bytes = new byte[4 * tokens];
      for (int i = from; i < to; i++) {
        in.readFully(4L * tokens * i, bytes);
        crc.update(bytes, 0, bytes.length);
        sequences.add(decode(bytes));
      }
      if ((int) crc.getValue() != checksum) {
        throw damaged(path);
      }
    }
  }

  private static UserException damaged(Path path) {
    return new UserException(path.toUri().getPath() + ": is damaged; delete it and shuffle again");
  }

  private Sequence decode(byte[] bytes) {
    int[] decoded = new int[tokens];
    ByteBuffer.wrap(bytes).asIntBuffer().get(decoded);
    int[] starts = new int[tokens];
    int count = 0;
    for (int i = 0; i < tokens; i++) {
      if (decoded[i] < 0) {
        decoded[i] = ~decoded[i];
        starts[count++] = i;
      }
    }
    return new Sequence(decoded, Arrays.copyOf(starts, count));
  }
}
