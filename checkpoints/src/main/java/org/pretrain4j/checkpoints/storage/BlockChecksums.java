package org.pretrain4j.checkpoints.storage;

import java.util.HexFormat;
import java.util.zip.CRC32C;

/**
 * The CRC32C of each block of a file, so that any part of it can be verified alone.
 *
 * @param bytes size of the file in bytes
 * @param blockBytes size of a block in bytes; the last block may be shorter
 * @param blocks the checksum of each block
 */
public record BlockChecksums(long bytes, int blockBytes, int[] blocks) {
  /** Large enough to read at full speed, small enough that a slice costs little extra. */
  public static final int DEFAULT_BLOCK_BYTES = 1 << 20;

  public BlockChecksums {
    if (bytes < 0 || blockBytes <= 0) {
      throw new IllegalArgumentException(
          "no file has " + bytes + " bytes in blocks of " + blockBytes);
    }
    if (blocks.length != Math.ceilDiv(bytes, (long) blockBytes)) {
      throw new IllegalArgumentException(
          blocks.length + " checksums can't cover " + bytes + " bytes in blocks of " + blockBytes);
    }
  }

  /** The checksums as text, 8 hexadecimal digits a block. */
  public String toHex() {
    StringBuilder text = new StringBuilder(blocks.length * 8);
    HexFormat hex = HexFormat.of();
    for (int block : blocks) {
      text.append(hex.toHexDigits(block));
    }
    return text.toString();
  }

  /** Reads what {@link #toHex} wrote. */
  public static BlockChecksums fromHex(long bytes, int blockBytes, String text) {
    if (text.length() % 8 != 0) {
      throw new IllegalArgumentException("the checksums end in the middle of a block");
    }
    int[] blocks = new int[text.length() / 8];
    for (int block = 0; block < blocks.length; block++) {
      blocks[block] = HexFormat.fromHexDigits(text, block * 8, block * 8 + 8);
    }
    return new BlockChecksums(bytes, blockBytes, blocks);
  }

  /** The CRC32C (Castagnoli) of a piece of memory. */
  public static int crc32c(byte[] content, int offset, int length) {
    CRC32C crc = new CRC32C();
    crc.update(content, offset, length);
    return (int) crc.getValue();
  }

  /** Number of bytes of a block. */
  public int lengthOf(int block) {
    return (int) Math.min(blockBytes, bytes - (long) block * blockBytes);
  }
}
