package org.pretrain4j.data.text;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.pretrain4j.configuration.UserException;

/** Raw little-endian tokens, read one document after the other. */
final class TokenFile implements AutoCloseable {
  /** Widths of the tokens that corpora are stored in. */
  enum Width {
    UINT8(1),
    UINT16(2),
    INT32(4),
    INT64(8);

    private final int bytes;

    Width(int bytes) {
      this.bytes = bytes;
    }

    int bytes() {
      return bytes;
    }
  }

  private static final int BUFFER_BYTES = 1 << 18;

  private final String name;
  private final InputStream in;
  private final Width width;
  private long read;

  TokenFile(String name, InputStream in, Width width) {
    this.name = name;
    this.in = new BufferedInputStream(in, BUFFER_BYTES);
    this.width = width;
  }

  /** Bytes read so far. */
  long bytesRead() {
    return read;
  }

  /**
   * The next tokens of the file.
   *
   * @throws UserException if there are not so many, or too many for one document
   */
  int[] next(long count) {
    if (count * width.bytes() > WholeFileReader.LIMIT_BYTES) {
      throw Malformed.tooLong(name, WholeFileReader.LIMIT_BYTES);
    }
    byte[] bytes = new byte[(int) count * width.bytes()];
    try {
      if (in.readNBytes(bytes, 0, bytes.length) < bytes.length) {
        throw new EOFException();
      }
    } catch (IOException e) {
      throw Malformed.unreadable(name, e);
    }
    read += bytes.length;
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int[] tokens = new int[(int) count];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] =
          switch (width) {
            case UINT8 -> bytes[i] & 0xff;
            case UINT16 -> buffer.getChar();
            case INT32 -> buffer.getInt();
            case INT64 -> Math.clamp(buffer.getLong(), -1, Integer.MAX_VALUE);
          };
    }
    return tokens;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
