package org.pretrain4j.checkpoints.storage;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSError;

/** A file that is read at any position; the local disk's without Hadoop's copies in between. */
sealed interface PositionedInput extends AutoCloseable {

  /**
   * Fills the buffer.
   *
   * @throws EOFException if the file ends before that
   */
  void readFully(long position, ByteBuffer into) throws IOException;

  @Override
  void close() throws IOException;

  /** The local disk. */
  record Local(FileChannel channel) implements PositionedInput {
    @Override
    public void readFully(long position, ByteBuffer into) throws IOException {
      long at = position;
      while (into.hasRemaining()) {
        int read = channel.read(into, at);
        if (read < 0) {
          throw new EOFException();
        }
        at += read;
      }
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  /** Any file system that Hadoop knows. */
  record Hadoop(FSDataInputStream in) implements PositionedInput {
    @Override
    public void readFully(long position, ByteBuffer into) throws IOException {
      try {
        if (into.hasArray()) {
          in.readFully(
              position, into.array(), into.arrayOffset() + into.position(), into.remaining());
          into.position(into.limit());
        } else {
          byte[] copy = new byte[into.remaining()];
          in.readFully(position, copy, 0, copy.length);
          into.put(copy);
        }
      } catch (FSError e) {
        throw new IOException(e.getMessage(), e);
      }
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }
}
