package org.pretrain4j.checkpoints;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.storage.BlockChecksums;
import org.pretrain4j.checkpoints.storage.ChecksumException;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.UserException;

/**
 * JSON files that carry their own checksum: the first line holds the CRC32C of all bytes after it,
 * so the file is still one plain JSON object. This first line is the same in every version of the
 * format.
 */
final class SealedJson {
  /** Name of the format, in every file of it. */
  static final String FORMAT = "pretrain4j-checkpoint";

  /** Version of the format that is written and understood. */
  static final int VERSION = 1;

  private static final Pattern SEAL = Pattern.compile("\\{\"crc32c\":\"([0-9a-f]{8})\",");
  private static final int SEAL_BYTES = "{\"crc32c\":\"01234567\",\n".length();

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  private SealedJson() {}

  /** A value that was read and the checksum in its first line. */
  record Sealed<T>(T value, String crc32c) {}

  /** Writes and syncs a file; returns the checksum in its first line. */
  static String write(DurableFileSystem files, Path path, Object value) throws IOException {
    byte[] json = JSON.writeValueAsBytes(value);
    // The seal takes the place of the opening brace and of the line break after it.
    int from = json[1] == '\r' ? 3 : 2;
    String crc32c = "%08x".formatted(BlockChecksums.crc32c(json, from, json.length - from));
    byte[] seal = "{\"crc32c\":\"%s\",\n".formatted(crc32c).getBytes(StandardCharsets.US_ASCII);
    byte[] sealed = new byte[seal.length + json.length - from];
    System.arraycopy(seal, 0, sealed, 0, seal.length);
    System.arraycopy(json, from, sealed, seal.length, json.length - from);
    files.write(path, sealed);
    return crc32c;
  }

  /** The CRC32C of a value's JSON text, to compare two values by. */
  static String fingerprint(Object value) throws IOException {
    byte[] json = JSON.writeValueAsBytes(value);
    return "%08x".formatted(BlockChecksums.crc32c(json, 0, json.length));
  }

  /**
   * Reads a file.
   *
   * @throws UserException if it was written by a newer version of the format
   * @throws IOException if it is missing, damaged or not of this format
   */
  static <T> Sealed<T> read(DurableFileSystem files, Path path, Class<T> type) throws IOException {
    byte[] content = files.read(path);
    String name = path.getName();
    if (content.length < SEAL_BYTES) {
      throw new ChecksumException(name + " is cut short, it has only " + content.length + " bytes");
    }
    Matcher seal =
        SEAL.matcher(new String(content, 0, SEAL_BYTES - 1, StandardCharsets.ISO_8859_1));
    if (!seal.matches() || content[SEAL_BYTES - 1] != '\n') {
      throw new ChecksumException(name + " does not begin with its checksum");
    }
    String actual =
        "%08x".formatted(BlockChecksums.crc32c(content, SEAL_BYTES, content.length - SEAL_BYTES));
    if (!actual.equals(seal.group(1))) {
      throw new ChecksumException(
          "%s is damaged: its checksum is %s instead of %s".formatted(name, actual, seal.group(1)));
    }
    JsonNode json = JSON.readTree(content);
    if (!FORMAT.equals(json.path("format").textValue())) {
      throw new ChecksumException(name + " is not of the format " + FORMAT);
    }
    int version = json.path("version").asInt(0);
    if (version > VERSION) {
      throw new UserException(
          "%s has version %d of the checkpoint format, this program reads up to %d; use the program that wrote it or a newer one"
              .formatted(path, version, VERSION));
    }
    try {
      return new Sealed<>(JSON.treeToValue(json, type), actual);
    } catch (JsonProcessingException e) {
      throw (IOException)
          new ChecksumException(name + " is inconsistent: " + e.getOriginalMessage()).initCause(e);
    }
  }
}
