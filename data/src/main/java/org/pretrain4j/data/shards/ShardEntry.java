package org.pretrain4j.data.shards;

import java.io.Serializable;

/**
 * One shard as its manifest knows it.
 *
 * @param name of the file, in the manifest's folder
 * @param bytes its size
 * @param documents documents that end in it
 * @param tokens tokens in it, ends of documents included
 * @param crc32c CRC-32C of the whole file, 8 hexadecimal digits
 * @param footerOffset where the Arrow footer begins: the end of the last record batch
 * @param footerCrc32c CRC-32C from there to the end of the file; the footer holds the CRC of each
 *     record batch, so that a reader can verify any part of a shard alone
 */
public record ShardEntry(
    String name,
    long bytes,
    long documents,
    long tokens,
    String crc32c,
    long footerOffset,
    String footerCrc32c)
    implements Serializable {
  static final long MAX_FOOTER_BYTES = 1L << 28;

  /**
   * @throws IllegalArgumentException with what is wrong
   */
  public ShardEntry {
    check(name != null && name.matches("[A-Za-z0-9._-]+") && !name.startsWith("."), "name", name);
    check(bytes > 0, "bytes", bytes);
    check(tokens > 0 && tokens <= bytes * 4096, "tokens", tokens);
    check(documents >= 0 && documents <= tokens, "documents", documents);
    check(crc32c != null && crc32c.matches("[0-9a-f]{8}"), "crc32c", crc32c);
    check(
        footerOffset > 0 && footerOffset < bytes && bytes - footerOffset <= MAX_FOOTER_BYTES,
        "footer_offset",
        footerOffset);
    check(
        footerCrc32c != null && footerCrc32c.matches("[0-9a-f]{8}"), "footer_crc32c", footerCrc32c);
  }

  private static void check(boolean right, String key, Object value) {
    if (!right) {
      throw new IllegalArgumentException("shard with impossible " + key + " '" + value + "'");
    }
  }

  String digestLine() {
    return String.join(
        "\t",
        name,
        Long.toString(bytes),
        Long.toString(documents),
        Long.toString(tokens),
        crc32c,
        Long.toString(footerOffset),
        footerCrc32c);
  }
}
