package org.pretrain4j.data.text;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/**
 * Megatron-LM's indexed datasets. {@code x.bin} holds the tokens; {@code x.idx}, all little endian:
 * {@code MMIDIDX\0\0}, version 1 (uint64), type of the tokens (uint8), number of sequences
 * (uint64), number of document boundaries (uint64), lengths of the sequences (int32 each), their
 * byte offsets (int64 each), boundaries of the documents in sequences (int64 each, the first is 0).
 * The documents must make up all of the tokens: what they would leave out is taken for damage.
 */
final class MegatronReader implements DocumentReader {
  private static final byte[] MAGIC = "MMIDIDX\0\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final int HEADER_BYTES = 9 + 8 + 1 + 8 + 8;

  private final String name;
  private final LittleEndian lengths;
  private final LittleEndian offsets;
  private final LittleEndian boundaries;
  private final TokenFile tokens;
  private final long documents;
  private final long sequences;
  private final long binBytes;
  private final int width;
  private long document;
  private long sequence;

  private MegatronReader(
      String name, Storage storage, Path idx, Path bin, Header header, long binBytes)
      throws IOException {
    this.name = name;
    this.documents = header.boundaries() - 1;
    this.sequences = header.sequences();
    this.binBytes = binBytes;
    this.width = header.width().bytes();
    long lengthsAt = HEADER_BYTES;
    long offsetsAt = lengthsAt + 4 * sequences;
    long boundariesAt = offsetsAt + 8 * sequences;
    this.lengths = new LittleEndian(storage, idx, lengthsAt);
    this.offsets = new LittleEndian(storage, idx, offsetsAt);
    this.boundaries = new LittleEndian(storage, idx, boundariesAt);
    this.tokens = new TokenFile(bin.toUri().getPath(), storage.open(bin), header.width());
  }

  private record Header(TokenFile.Width width, long sequences, long boundaries) {}

  static MegatronReader open(Storage storage, FileStatus file, String name) throws IOException {
    if (!name.endsWith(".idx")) {
      throw new UserException(name + ": expected the .idx file of a Megatron dataset");
    }
    Header header = header(storage, file, name);
    String path = file.getPath().toString();
    Path bin = new Path(path.substring(0, path.length() - ".idx".length()) + ".bin");
    long binBytes = storage.status(bin).getLen();
    MegatronReader reader =
        new MegatronReader(name, storage, file.getPath(), bin, header, binBytes);
    if (reader.boundaries.nextLong() != 0) {
      throw reader.damaged("its first document does not begin at sequence 0");
    }
    return reader;
  }

  private static Header header(Storage storage, FileStatus file, String name) throws IOException {
    byte[] bytes = new byte[HEADER_BYTES];
    try (FSDataInputStream in = storage.open(file.getPath())) {
      if (in.readNBytes(bytes, 0, bytes.length) < bytes.length
          || !Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
        throw new UserException(name + ": is not the index of a Megatron dataset");
      }
    }
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).position(9);
    long version = buffer.getLong();
    int type = buffer.get();
    long sequences = buffer.getLong();
    long boundaries = buffer.getLong();
    TokenFile.Width width =
        switch (type) {
          case 1 -> TokenFile.Width.UINT8;
          case 4 -> TokenFile.Width.INT32;
          case 5 -> TokenFile.Width.INT64;
          case 8 -> TokenFile.Width.UINT16;
          default -> null;
        };
    long limit = file.getLen() / 8;
    if (version != 1
        || width == null
        || sequences < 0
        || boundaries < 1
        || sequences > limit
        || boundaries > limit
        || !hasSize(file.getLen(), sequences, boundaries)) {
      throw new UserException(
          name
              + ": version "
              + version
              + ", token type "
              + type
              + ", "
              + sequences
              + " sequences, "
              + boundaries
              + " boundaries in "
              + file.getLen()
              + " bytes; expected version 1, tokens of type 1, 4, 5 or 8, and as many bytes as"
              + " these take; replace the file");
    }
    return new Header(width, sequences, boundaries);
  }

  /**
   * Indexes of several modalities have a byte for each sequence behind them, which is not needed.
   */
  private static boolean hasSize(long bytes, long sequences, long boundaries) {
    long expected = HEADER_BYTES + 12 * sequences + 8 * boundaries;
    return bytes == expected || bytes == expected + sequences;
  }

  @Override
  public Document next() throws IOException {
    while (document < documents) {
      String place = name + " document " + document++;
      long end = boundaries.nextLong();
      if (end < sequence || end > sequences) {
        throw damaged("document " + (document - 1) + " ends at sequence " + end);
      }
      long count = 0;
      for (; sequence < end; sequence++) {
        int length = lengths.nextInt();
        long expected = tokens.bytesRead() + count * width;
        if (length < 0 || offsets.nextLong() != expected || expected > binBytes) {
          throw damaged("sequence " + sequence + " does not follow the one before");
        }
        count += length;
      }
      if (count > 0) {
        return new Document(tokens.next(count), place);
      }
    }
    if (sequence != sequences) {
      throw damaged("its documents end with sequence " + sequence + ", but it has " + sequences);
    }
    if (tokens.bytesRead() != binBytes) {
      throw damaged(
          "its documents take " + tokens.bytesRead() + " bytes of " + binBytes + " in its .bin");
    }
    return null;
  }

  private UserException damaged(String what) {
    return new UserException(name + ": " + what + "; replace the file");
  }

  @Override
  public long bytesRead() {
    return tokens.bytesRead();
  }

  @Override
  public void close() throws IOException {
    lengths.close();
    offsets.close();
    boundaries.close();
    tokens.close();
  }

  /** Numbers of one section of the index. */
  private static final class LittleEndian implements AutoCloseable {
    private final InputStream in;
    private final byte[] bytes = new byte[8];

    LittleEndian(Storage storage, Path path, long offset) throws IOException {
      FSDataInputStream file = storage.open(path);
      file.seek(offset);
      this.in = new BufferedInputStream(file, 1 << 16);
    }

    private ByteBuffer read(int count) throws IOException {
      if (in.readNBytes(bytes, 0, count) < count) {
        throw new EOFException("the index ends too early");
      }
      return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    int nextInt() throws IOException {
      return read(4).getInt();
    }

    long nextLong() throws IOException {
      return read(8).getLong();
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }
}
