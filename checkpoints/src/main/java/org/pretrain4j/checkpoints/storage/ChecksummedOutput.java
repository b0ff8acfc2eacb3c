package org.pretrain4j.checkpoints.storage;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * Writes a file once, from its beginning to its end, and knows the checksum of each of its blocks.
 * Only {@link #finish} makes it durable; closing without it gives the file up.
 */
public final class ChecksummedOutput implements AutoCloseable {
  private static final int MAX_BUFFER_BYTES = 1 << 20;
  // A processor's cache holds so much between the checksum and the write.
  private static final long MAX_PIECE_BYTES = 1L << 20;

  private final ByteSink sink;
  private final int blockBytes;
  private final ByteBuffer buffer;
  private final CRC32C crc = new CRC32C();
  private int inBlock;
  private int[] checksums = new int[16];
  private int blocks;
  private boolean open = true;

  ChecksummedOutput(ByteSink sink, int blockBytes) {
    this.sink = sink;
    this.blockBytes = blockBytes;
    this.buffer = ByteBuffer.allocate(Math.min(MAX_BUFFER_BYTES, blockBytes));
  }

  /** Bytes written so far. */
  public long position() {
    return (long) blocks * blockBytes + inBlock;
  }

  /** Appends bytes of an array. */
  public void write(byte[] content, int offset, int length) throws IOException {
    write(MemorySegment.ofArray(content).asSlice(offset, length));
  }

  /**
   * Appends a piece of memory, which may be larger than 2 GiB. Large pieces outside of the heap go
   * to the file as they are, all others through a buffer.
   */
  public void write(MemorySegment content) throws IOException {
    boolean direct = content.isNative() && content.byteSize() >= buffer.capacity();
    if (direct) {
      flush();
    }
    long from = 0;
    while (from < content.byteSize()) {
      long rest = content.byteSize() - from;
      if (direct) {
        ByteBuffer piece = content.asSlice(from, Math.min(MAX_PIECE_BYTES, rest)).asByteBuffer();
        from += piece.remaining();
        checksum(piece);
        sink.write(piece);
      } else {
        int piece = (int) Math.min(buffer.remaining(), rest);
        MemorySegment.copy(
            content, ValueLayout.JAVA_BYTE, from, buffer.array(), buffer.position(), piece);
        checksum(buffer.slice(buffer.position(), piece));
        buffer.position(buffer.position() + piece);
        from += piece;
        if (!buffer.hasRemaining()) {
          flush();
        }
      }
    }
  }

  private void flush() throws IOException {
    if (buffer.position() > 0) {
      sink.write(buffer.flip());
      buffer.clear();
    }
  }

  /** Reads the content, but leaves the buffer's position where it was. */
  private void checksum(ByteBuffer content) {
    int from = content.position();
    while (from < content.limit()) {
      int length = Math.min(blockBytes - inBlock, content.limit() - from);
      crc.update(content.slice(from, length));
      from += length;
      inBlock += length;
      if (inBlock == blockBytes) {
        endBlock();
      }
    }
  }

  private void endBlock() {
    if (blocks == checksums.length) {
      checksums = Arrays.copyOf(checksums, 2 * blocks);
    }
    checksums[blocks++] = (int) crc.getValue();
    crc.reset();
    inBlock = 0;
  }

  /** Writes the rest, syncs and closes: after this the content survives a crash. */
  public BlockChecksums finish() throws IOException {
    long bytes = position();
    flush();
    if (inBlock > 0) {
      endBlock();
    }
    sink.sync();
    open = false;
    sink.close();
    return new BlockChecksums(bytes, blockBytes, Arrays.copyOf(checksums, blocks));
  }

  @Override
  public void close() throws IOException {
    if (open) {
      open = false;
      sink.close();
    }
  }
}
