package org.pretrain4j.checkpoints.storage;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
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
  private byte[] block;
  private byte[] spare;
  private FutureTask<Void> writing;
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

  /** Hands the block to a thread that writes it while the next one is filled. */
  private void writeBlock() throws IOException {
    checksumBlock();
    awaitWrite();
    byte[] full = block;
    int length = filled;
    block = spare == null ? new byte[full.length] : spare;
    spare = full;
    blocks++;
    filled = 0;
    FutureTask<Void> task =
        new FutureTask<>(
            () -> {
              out.write(full, 0, length);
              return null;
            });
    Thread.ofVirtual().name("block-writer").start(task);
    writing = task;
  }

  private void checksumBlock() {
    crc.reset();
    crc.update(block, 0, filled);
    if (blocks == checksums.length) {
      checksums = Arrays.copyOf(checksums, 2 * blocks);
    }
    checksums[blocks] = (int) crc.getValue();
  }

  private void awaitWrite() throws IOException {
    if (writing == null) {
      return;
    }
    FutureTask<Void> awaited = writing;
    writing = null;
    try {
      awaited.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw (IOException) new InterruptedIOException("interrupted while writing").initCause(e);
    } catch (ExecutionException e) {
      throw asIoException(e.getCause());
    }
  }

  /** Writes the rest, syncs and closes: after this the content survives a crash. */
  public BlockChecksums finish() throws IOException {
    long bytes = position();
    awaitWrite();
    try {
      if (filled > 0) {
        checksumBlock();
        out.write(block, 0, filled);
        blocks++;
        filled = 0;
      }
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
      try (out) {
        awaitWrite();
      } catch (FSError e) {
        throw asIoException(e);
      }
    }
  }

  /** Hadoop reports a full local disk as an Error. */
  private static IOException asIoException(Throwable failure) {
    if (failure instanceof IOException already) {
      return already;
    }
    if (failure instanceof FSError && failure.getCause() instanceof IOException cause) {
      return cause;
    }
    if (failure instanceof Error error) {
      throw error;
    }
    return new IOException(failure);
  }
}
