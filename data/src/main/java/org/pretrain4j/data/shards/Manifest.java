package org.pretrain4j.data.shards;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;

/**
 * The contents of a dataset folder. A folder without a manifest is no dataset: it is written last.
 *
 * @param tokenizer that made the tokens
 * @param shards in the order of their documents
 * @param sequenceLength of a shuffled dataset, which is a list of sequences; 0 for one of documents
 */
public record Manifest(TokenizerIdentity tokenizer, List<ShardEntry> shards, int sequenceLength) {
  public static final String FILE = "manifest.json";
  static final String FORMAT = "pretrain4j-tokens";
  static final int VERSION = 1;

  /**
   * @throws IllegalArgumentException if there is no shard, or two have one name
   */
  public Manifest {
    shards = List.copyOf(shards);
    if (sequenceLength < 0) {
      throw new IllegalArgumentException("sequence_length " + sequenceLength);
    }
    if (shards.isEmpty()) {
      throw new IllegalArgumentException("a manifest without shards");
    }
    Set<String> names = new HashSet<>();
    for (ShardEntry shard : shards) {
      if (!names.add(shard.name())) {
        throw new IllegalArgumentException("shard '" + shard.name() + "' is listed twice");
      }
    }
  }

  /** A dataset of documents. */
  public Manifest(TokenizerIdentity tokenizer, List<ShardEntry> shards) {
    this(tokenizer, shards, 0);
  }

  public long documents() {
    return shards.stream().mapToLong(ShardEntry::documents).sum();
  }

  public long tokens() {
    return shards.stream().mapToLong(ShardEntry::tokens).reduce(0, Math::addExact);
  }

  public long bytes() {
    return shards.stream().mapToLong(ShardEntry::bytes).reduce(0, Math::addExact);
  }

  /**
   * SHA-256 over everything the manifest says; equal for datasets with equal shards, so that a
   * resumed run can tell whether its data is still the same. Tab-separated lines: first format,
   * version, tokenizer fingerprint, vocabulary size, end of document and, if it is not 0, sequence
   * length; then one for each shard.
   */
  public String checksum() {
    StringBuilder lines = new StringBuilder();
    lines.append(
        String.join(
            "\t",
            FORMAT,
            Integer.toString(VERSION),
            tokenizer.fingerprint(),
            Integer.toString(tokenizer.vocabSize()),
            Integer.toString(tokenizer.endOfDocument())));
    if (sequenceLength > 0) {
      lines.append('\t').append(sequenceLength);
    }
    lines.append('\n');
    for (ShardEntry shard : shards) {
      lines.append(shard.digestLine()).append('\n');
    }
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256")
              .digest(lines.toString().getBytes(StandardCharsets.UTF_8));
      return "sha256:" + HexFormat.of().formatHex(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
