package org.pretrain4j.data.shards;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.zip.CRC32C;

/** Counts and checksums what is written, as a whole and since the beginning of a block. */
final class ChecksumChannel implements WritableByteChannel {
  private final OutputStream out;
  private final CRC32C whole = new CRC32C();
  private final CRC32C block = new CRC32C();
  private long position;
  private final byte[] copy = new byte[1 << 16];

  ChecksumChannel(OutputStream out) {
    this.out = out;
  }

  void beginBlock() {
    block.reset();
  }

  int blockChecksum() {
    return (int) block.getValue();
  }

  int checksum() {
    return (int) whole.getValue();
  }

  long position() {
    return position;
  }

  @Override
  public int write(ByteBuffer source) throws IOException {
    int total = source.remaining();
    while (source.hasRemaining()) {
      int length = Math.min(source.remaining(), copy.length);
      source.get(copy, 0, length);
      whole.update(copy, 0, length);
      block.update(copy, 0, length);
      out.write(copy, 0, length);
    }
    position += total;
    return total;
  }

  @Override
  public boolean isOpen() {
    return true;
  }

  /** The stream's owner closes it. */
  @Override
  public void close() {}
}
