package org.pretrain4j.checkpoints.storage;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.StreamCapabilities;

/** A file of any file system that Hadoop knows. */
final class HadoopSink implements ByteSink {
  private static final int COPY_BYTES = 1 << 20;

  private final FSDataOutputStream out;
  private byte[] copy = new byte[0];

  HadoopSink(FSDataOutputStream out) {
    this.out = out;
  }

  @Override
  public void write(ByteBuffer bytes) throws IOException {
    try {
      if (bytes.hasArray()) {
        out.write(bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining());
        return;
      }
      if (copy.length == 0) {
        copy = new byte[COPY_BYTES];
      }
      while (bytes.hasRemaining()) {
        int length = Math.min(copy.length, bytes.remaining());
        bytes.get(copy, 0, length);
        out.write(copy, 0, length);
      }
    } catch (FSError e) {
      throw asIoException(e);
    }
  }

  @Override
  public void sync() throws IOException {
    try {
      if (out.hasCapability(StreamCapabilities.HSYNC)) {
        out.hsync();
      }
    } catch (FSError e) {
      throw asIoException(e);
    }
  }

  @Override
  public void close() throws IOException {
    try {
      out.close();
    } catch (FSError e) {
      throw asIoException(e);
    }
  }

  /** Hadoop reports a full local disk as an Error. */
  private static IOException asIoException(FSError failure) {
    return failure.getCause() instanceof IOException cause
        ? cause
        : new IOException(failure.getMessage(), failure);
  }
}
