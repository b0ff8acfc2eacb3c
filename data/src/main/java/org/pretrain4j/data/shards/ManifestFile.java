package org.pretrain4j.data.shards;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.storage.Storage;

/** Reads and writes manifest.json. Reading is strict: every key known, every number checked. */
public final class ManifestFile {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  private ManifestFile() {}

  public static void write(Storage storage, Path file, Manifest manifest) throws IOException {
    ObjectNode root = JSON.createObjectNode();
    root.put("format", Manifest.FORMAT);
    root.put("version", Manifest.VERSION);
    ObjectNode tokenizer = root.putObject("tokenizer");
    tokenizer.put("fingerprint", manifest.tokenizer().fingerprint());
    tokenizer.put("vocab_size", manifest.tokenizer().vocabSize());
    tokenizer.put("end_of_document", manifest.tokenizer().endOfDocument());
    root.put("token_type", manifest.tokenizer().tokenType().spelled());
    if (manifest.sequenceLength() > 0) {
      root.put("sequence_length", manifest.sequenceLength());
    }
    root.put("documents", manifest.documents());
    root.put("tokens", manifest.tokens());
    ArrayNode shards = root.putArray("shards");
    for (ShardEntry shard : manifest.shards()) {
      write(shards.addObject(), shard);
    }
    root.put("checksum", manifest.checksum());
    storage.publish(file, JSON.writeValueAsBytes(root));
  }

  /** The members of one shard's object. */
  public static void write(ObjectNode node, ShardEntry shard) {
    node.put("name", shard.name());
    node.put("bytes", shard.bytes());
    node.put("documents", shard.documents());
    node.put("tokens", shard.tokens());
    node.put("crc32c", shard.crc32c());
    node.put("footer_offset", shard.footerOffset());
    node.put("footer_crc32c", shard.footerCrc32c());
  }

  /**
   * @throws ShardException if the file is missing or anything in it is wrong, naming the file
   */
  public static Manifest read(Storage storage, Path file) {
    String name = file.toUri().getPath();
    try {
      if (!storage.exists(file)) {
        throw new ShardException(
            name, "does not exist; a dataset is a folder that 'pretrain4j tokenize' has finished");
      }
      return parse(JSON.readTree(storage.read(file)));
    } catch (JsonProcessingException e) {
      throw new ShardException(
          name, "is not JSON: " + e.getOriginalMessage().lines().findFirst().orElse(""), e);
    } catch (IOException e) {
      throw new ShardException(name, "cannot be read: " + e.getMessage(), e);
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new ShardException(name, "is damaged: " + e.getMessage(), e);
    }
  }

  private static Manifest parse(JsonNode root) {
    List<String> keys =
        new ArrayList<>(
            List.of(
                "format",
                "version",
                "tokenizer",
                "token_type",
                "documents",
                "tokens",
                "shards",
                "checksum"));
    if (root.has("sequence_length")) {
      keys.add("sequence_length");
    }
    keys(root, "the manifest", keys.toArray(String[]::new));
    if (!text(root, "format").equals(Manifest.FORMAT)) {
      throw new IllegalArgumentException("format is not '" + Manifest.FORMAT + "'");
    }
    if (integer(root, "version") != Manifest.VERSION) {
      throw new IllegalArgumentException(
          "version " + root.get("version") + ", but this program reads " + Manifest.VERSION);
    }
    JsonNode tokenizer = root.get("tokenizer");
    keys(tokenizer, "tokenizer", "fingerprint", "vocab_size", "end_of_document");
    TokenizerIdentity identity =
        new TokenizerIdentity(
            text(tokenizer, "fingerprint"),
            Math.toIntExact(integer(tokenizer, "vocab_size")),
            Math.toIntExact(integer(tokenizer, "end_of_document")));
    if (!root.get("shards").isArray()) {
      throw new IllegalArgumentException("'shards' is not a list");
    }
    List<ShardEntry> shards = new ArrayList<>();
    for (JsonNode node : root.get("shards")) {
      shards.add(shard(node));
    }
    int sequenceLength =
        root.has("sequence_length") ? Math.toIntExact(integer(root, "sequence_length")) : 0;
    Manifest manifest = new Manifest(identity, shards, sequenceLength);
    same("token_type", text(root, "token_type"), identity.tokenType().spelled());
    same("documents", integer(root, "documents"), manifest.documents());
    same("tokens", integer(root, "tokens"), manifest.tokens());
    same("checksum", text(root, "checksum"), manifest.checksum());
    return manifest;
  }

  /** Reads what {@link #write(ObjectNode, ShardEntry)} wrote. */
  public static ShardEntry shard(JsonNode node) {
    keys(
        node,
        "a shard",
        "name",
        "bytes",
        "documents",
        "tokens",
        "crc32c",
        "footer_offset",
        "footer_crc32c");
    return new ShardEntry(
        text(node, "name"),
        integer(node, "bytes"),
        integer(node, "documents"),
        integer(node, "tokens"),
        text(node, "crc32c"),
        integer(node, "footer_offset"),
        text(node, "footer_crc32c"));
  }

  private static void keys(JsonNode node, String what, String... expected) {
    if (!node.isObject()) {
      throw new IllegalArgumentException(what + " is not a JSON object");
    }
    Set<String> keys = new TreeSet<>();
    node.fieldNames().forEachRemaining(keys::add);
    if (!keys.equals(Set.of(expected))) {
      throw new IllegalArgumentException(
          what + " has the keys " + keys + ", expected " + new TreeSet<>(Set.of(expected)));
    }
  }

  private static String text(JsonNode node, String key) {
    if (!node.get(key).isTextual()) {
      throw new IllegalArgumentException("'" + key + "' is not a string");
    }
    return node.get(key).textValue();
  }

  private static long integer(JsonNode node, String key) {
    if (!node.get(key).canConvertToLong() || !node.get(key).isIntegralNumber()) {
      throw new IllegalArgumentException("'" + key + "' is not an integer");
    }
    return node.get(key).longValue();
  }

  private static void same(String key, Object found, Object computed) {
    if (!found.equals(computed)) {
      throw new IllegalArgumentException(
          "'" + key + "' is " + found + ", but the rest of the file gives " + computed);
    }
  }
}
