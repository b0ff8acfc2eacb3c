package org.pretrain4j.checkpoints.storage;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;
import org.apache.hadoop.fs.Path;

/** Reads ranges of bytes of a file and verifies every block that a range touches. Thread-safe. */
public final class BlockReader {
  private final DurableFileSystem files;
  private final Path path;
  private final BlockChecksums checksums;

  public BlockReader(DurableFileSystem files, Path path, BlockChecksums checksums) {
    this.files = files;
    this.path = path;
    this.checksums = checksums;
  }

  /**
   * Fills a piece of memory with the bytes from a position on.
   *
   * @throws ChecksumException if a block that holds some of them is damaged
   * @throws IOException if the file can't be read
   */
  public void read(long position, MemorySegment into) throws IOException {
    if (position < 0 || position + into.byteSize() > checksums.bytes()) {
      throw new IllegalArgumentException(
          "bytes %d to %d of a file of %d bytes"
              .formatted(position, position + into.byteSize(), checksums.bytes()));
    }
    if (into.byteSize() == 0) {
      return;
    }
    int blockBytes = checksums.blockBytes();
    int first = (int) (position / blockBytes);
    int last = (int) ((position + into.byteSize() - 1) / blockBytes);
    ByteBuffer block = null;
    try (PositionedInput in = files.openPositioned(path)) {
      for (int index = first; index <= last; index++) {
        long blockStart = (long) index * blockBytes;
        long blockEnd = blockStart + checksums.lengthOf(index);
        long from = Math.max(position, blockStart);
        long to = Math.min(position + into.byteSize(), blockEnd);
        MemorySegment target = into.asSlice(from - position, to - from);
        if (into.isNative() && from == blockStart && to == blockEnd) {
          readBlock(in, index, target.asByteBuffer());
          continue;
        }
        block = block == null ? newBlock() : block;
        readBlock(in, index, block.clear().limit(checksums.lengthOf(index)));
        MemorySegment.copy(
            block.array(),
            (int) (from - blockStart),
            target,
            ValueLayout.JAVA_BYTE,
            0,
            (int) (to - from));
      }
    }
  }

  private ByteBuffer newBlock() {
    return ByteBuffer.allocate((int) Math.min(checksums.blockBytes(), checksums.bytes()));
  }

  /**
   * Reads and verifies a run of blocks without keeping them.
   *
   * @param first first block
   * @param end one past the last block
   * @throws ChecksumException if one of them is damaged
   * @throws IOException if the file can't be read
   */
  public void verify(int first, int end) throws IOException {
    ByteBuffer block = newBlock();
    try (PositionedInput in = files.openPositioned(path)) {
      for (int index = first; index < end; index++) {
        readBlock(in, index, block.clear().limit(checksums.lengthOf(index)));
      }
    }
  }

  private void readBlock(PositionedInput in, int index, ByteBuffer block) throws IOException {
    int length = checksums.lengthOf(index);
    try {
      in.readFully((long) index * checksums.blockBytes(), block);
    } catch (EOFException e) {
      throw new EOFException(
          "%s ends before its byte %d"
              .formatted(path.getName(), (long) index * checksums.blockBytes() + length));
    }
    CRC32C crc = new CRC32C();
    crc.update(block.flip());
    int actual = (int) crc.getValue();
    if (actual != checksums.blocks()[index]) {
      throw new ChecksumException(
          "%s is damaged between byte %d and byte %d: its checksum is %08x instead of %08x"
              .formatted(
                  path.getName(),
                  (long) index * checksums.blockBytes(),
                  (long) index * checksums.blockBytes() + length,
                  actual,
                  checksums.blocks()[index]));
    }
  }
}
