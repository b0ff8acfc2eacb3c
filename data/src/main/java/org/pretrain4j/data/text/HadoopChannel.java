package org.pretrain4j.data.text;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.util.Arrays;
import org.apache.hadoop.fs.FSDataInputStream;

/** A Hadoop file as the read-only channel that Arrow wants. */
final class HadoopChannel implements SeekableByteChannel {
  private final FSDataInputStream in;
  private final long size;
  private long position;
  private boolean open = true;

  HadoopChannel(FSDataInputStream in, long size) {
    this.in = in;
    this.size = size;
  }

  /** True if these bytes are the first of the file. */
  boolean startsWith(byte[] expected) throws IOException {
    return has(expected, 0);
  }

  /** True if these bytes are the last of the file. */
  boolean endsWith(byte[] expected) throws IOException {
    return has(expected, size - expected.length);
  }

  private boolean has(byte[] expected, long at) throws IOException {
    if (at < 0 || at + expected.length > size) {
      return false;
    }
    byte[] found = new byte[expected.length];
    in.readFully(at, found);
    return Arrays.equals(found, expected);
  }

  @Override
  public int read(ByteBuffer target) throws IOException {
    byte[] copy = new byte[Math.min(target.remaining(), 1 << 20)];
    int read = in.read(position, copy, 0, copy.length);
    if (read > 0) {
      target.put(copy, 0, read);
      position += read;
    }
    return read;
  }

  @Override
  public long position() {
    return position;
  }

  @Override
  public SeekableByteChannel position(long newPosition) {
    position = newPosition;
    return this;
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public int write(ByteBuffer source) {
    throw new UnsupportedOperationException("read-only");
  }

  @Override
  public SeekableByteChannel truncate(long newSize) {
    throw new UnsupportedOperationException("read-only");
  }

  @Override
  public boolean isOpen() {
    return open;
  }

  @Override
  public void close() throws IOException {
    open = false;
    in.close();
  }
}
