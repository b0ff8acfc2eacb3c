package org.pretrain4j.trainer.parallel.tcp;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;

/**
 * What precedes the bytes on a connection.
 *
 * @param kind of frame
 * @param sequence number of the collective; of a goodbye, the number of collectives begun
 * @param stage 1 or 2: a collective has up to two transfers between two ranks
 * @param bytes that follow
 * @param text of data, the sender's call; of an abort, why
 */
record Frame(Kind kind, long sequence, int stage, long bytes, String text) {
  private static final int FIXED = 1 + 8 + 4 + 8 + 4;
  private static final int MAX_TEXT = 4096;

  /** At most so much at once, since the channel copies what it is given. */
  private static final long PIECE = 1 << 18;

  enum Kind {
    DATA,
    ABORT,
    GOODBYE
  }

  void write(SocketChannel channel) throws IOException {
    byte[] chars = text.getBytes(UTF_8);
    int length = Math.min(MAX_TEXT, chars.length);
    ByteBuffer header = ByteBuffer.allocate(FIXED + length);
    header.put((byte) kind.ordinal()).putLong(sequence).putInt(stage).putLong(bytes);
    header.putInt(length).put(chars, 0, length).flip();
    write(channel, header);
  }

  static Frame read(SocketChannel channel) throws IOException {
    ByteBuffer fixed = read(channel, ByteBuffer.allocate(FIXED));
    int kind = fixed.get();
    long sequence = fixed.getLong();
    int stage = fixed.getInt();
    long bytes = fixed.getLong();
    int length = fixed.getInt();
    if (kind < 0 || kind >= Kind.values().length || length < 0 || length > MAX_TEXT || bytes < 0) {
      throw new IOException("a frame that makes no sense");
    }
    ByteBuffer text = read(channel, ByteBuffer.allocate(length));
    return new Frame(Kind.values()[kind], sequence, stage, bytes, UTF_8.decode(text).toString());
  }

  static void write(SocketChannel channel, MemorySegment segment) throws IOException {
    for (long done = 0; done < segment.byteSize(); done += PIECE) {
      long length = Math.min(PIECE, segment.byteSize() - done);
      write(channel, segment.asSlice(done, length).asByteBuffer());
    }
  }

  static void read(SocketChannel channel, MemorySegment segment) throws IOException {
    for (long done = 0; done < segment.byteSize(); done += PIECE) {
      long length = Math.min(PIECE, segment.byteSize() - done);
      read(channel, segment.asSlice(done, length).asByteBuffer());
    }
  }

  static void write(SocketChannel channel, ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }

  static ByteBuffer read(SocketChannel channel, ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      if (channel.read(buffer) < 0) {
        throw new EOFException("the connection was closed");
      }
    }
    return buffer.flip();
  }
}
