package org.pretrain4j.checkpoints.storage;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.StreamCapabilities;

/**
 * Writes a file once, from its beginning to its end, and knows the checksum of each of its blocks.
 * Only {@link #finish} makes it durable; closing without it gives the file up.
 */
public final class ChecksummedOutput implements AutoCloseable {
  private final FSDataOutputStream out;
  private final byte[] block;
  private final CRC32C crc = new CRC32C();
  private int filled;
  private int[] checksums = new int[16];
  private int blocks;
  private boolean open = true;

  ChecksummedOutput(FSDataOutputStream out, int blockBytes) {
    this.out = out;
    this.block = new byte[blockBytes];
  }

  /** Bytes written so far. */
  public long position() {
    return (long) blocks * block.length + filled;
  }

  /** Appends bytes of an array. */
  public void write(byte[] content, int offset, int length) throws IOException {
    write(MemorySegment.ofArray(content).asSlice(offset, length));
  }

  /** Appends a piece of memory, which may be larger than 2 GiB. */
  public void write(MemorySegment content) throws IOException {
    long from = 0;
    while (from < content.byteSize()) {
      int piece = (int) Math.min(content.byteSize() - from, block.length - filled);
      MemorySegment.copy(content, ValueLayout.JAVA_BYTE, from, block, filled, piece);
      filled += piece;
      from += piece;
      if (filled == block.length) {
        writeBlock();
      }
    }
  }

  private void writeBlock() throws IOException {
    crc.reset();
    crc.update(block, 0, filled);
    if (blocks == checksums.length) {
      checksums = Arrays.copyOf(checksums, 2 * blocks);
    }
    checksums[blocks] = (int) crc.getValue();
    try {
      out.write(block, 0, filled);
    } catch (FSError e) {
      // Hadoop reports a full local disk as an Error.
      throw asIoException(e);
    }
    blocks++;
    filled = 0;
  }

  /** Writes the rest, syncs and closes: after this the content survives a crash. */
  public BlockChecksums finish() throws IOException {
    long bytes = position();
    if (filled > 0) {
      writeBlock();
    }
    try {
      if (out.hasCapability(StreamCapabilities.HSYNC)) {
        out.hsync();
      }
      open = false;
      out.close(); // Object stores make the file durable (and visible) here.
    } catch (FSError e) {
      throw asIoException(e);
    }
    return new BlockChecksums(bytes, block.length, Arrays.copyOf(checksums, blocks));
  }

  @Override
  public void close() throws IOException {
    if (open) {
      open = false;
      try {
        out.close();
      } catch (FSError e) {
        throw asIoException(e);
      }
    }
  }

  private static IOException asIoException(FSError error) {
    return error.getCause() instanceof IOException cause ? cause : new IOException(error);
  }
}
