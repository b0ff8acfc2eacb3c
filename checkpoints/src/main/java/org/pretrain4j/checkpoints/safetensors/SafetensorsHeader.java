package org.pretrain4j.checkpoints.safetensors;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.configuration.UserException;

/**
 * The header of a safetensors file: its tensors in the order of their bytes, without holes.
 *
 * @param tensors tensors in the order in which their bytes lie
 * @param metadata text by key, the {@code __metadata__} of the format
 */
public record SafetensorsHeader(List<TensorSpec> tensors, Map<String, String> metadata) {
  /** Bytes before the JSON text: its length as a 64-bit number. */
  static final int LENGTH_BYTES = 8;

  /** The limit of the reference implementation. */
  static final long MAX_JSON_BYTES = 100_000_000;

  private static final String METADATA = "__metadata__";
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .disable(JsonParser.Feature.ALLOW_COMMENTS)
          .build();

  public SafetensorsHeader {
    tensors = List.copyOf(tensors);
    metadata = Map.copyOf(metadata);
  }

  /** Number of bytes of all tensors together. */
  public long dataBytes() {
    return tensors.stream().mapToLong(TensorSpec::bytes).sum();
  }

  /** Length field and JSON text, padded with spaces so that the data begins 8-byte aligned. */
  public byte[] encode() {
    ObjectNode root = JSON.createObjectNode();
    if (!metadata.isEmpty()) {
      ObjectNode node = root.putObject(METADATA);
      metadata.entrySet().stream()
          .sorted(Map.Entry.comparingByKey())
          .forEach(entry -> node.put(entry.getKey(), entry.getValue()));
    }
    long offset = 0;
    for (TensorSpec tensor : tensors) {
      if (root.has(tensor.name()) || tensor.name().equals(METADATA)) {
        throw new IllegalArgumentException("the tensor " + tensor.name() + " appears twice");
      }
      ObjectNode node = root.putObject(tensor.name());
      node.put("dtype", tensor.dtype().name());
      ArrayNode shape = node.putArray("shape");
      tensor.shape().forEach(size -> shape.add(size));
      node.putArray("data_offsets").add(offset).add(offset + tensor.bytes());
      offset += tensor.bytes();
    }
    byte[] json = root.toString().getBytes(StandardCharsets.UTF_8);
    int padded = Math.ceilDiv(json.length, 8) * 8;
    if (padded > MAX_JSON_BYTES) {
      throw new IllegalArgumentException(tensors.size() + " tensors are too many for one file");
    }
    ByteBuffer encoded =
        ByteBuffer.allocate(LENGTH_BYTES + padded).order(ByteOrder.LITTLE_ENDIAN).putLong(padded);
    encoded.put(json);
    Arrays.fill(encoded.array(), LENGTH_BYTES + json.length, encoded.capacity(), (byte) ' ');
    return encoded.array();
  }

  /**
   * Number of bytes of the JSON text.
   *
   * @param source name of the file, for messages
   * @param prefix the first 8 bytes of the file
   * @param fileBytes size of the file
   * @throws UserException if the file can't hold so many
   */
  static int jsonBytes(String source, byte[] prefix, long fileBytes) {
    long length = ByteBuffer.wrap(prefix).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if (length < 2 || length > MAX_JSON_BYTES || length > fileBytes - LENGTH_BYTES) {
      throw new UserException(
          "%s is no complete safetensors file: its header claims %s bytes, the file has %d; copy it again"
              .formatted(source, Long.toUnsignedString(length), fileBytes));
    }
    return (int) length;
  }

  /**
   * Reads the JSON text and holds it against the size of the file.
   *
   * @param source name of the file, for messages
   * @param json the JSON text
   * @param dataBytes number of bytes that follow it in the file
   * @throws UserException with file and tensor, if anything is not exactly as the format wants it
   */
  static SafetensorsHeader parse(String source, byte[] json, long dataBytes) {
    if (json.length == 0 || json[0] != '{') {
      throw new UserException(source + " is no safetensors file: its header is no JSON object");
    }
    JsonNode root;
    try {
      root = JSON.readTree(json);
    } catch (JsonProcessingException e) {
      throw new UserException(
          "%s has a damaged header: %s".formatted(source, e.getOriginalMessage()), e);
    } catch (IOException e) {
      throw new UserException("%s has a damaged header: %s".formatted(source, e.getMessage()), e);
    }
    Map<String, String> metadata = new LinkedHashMap<>();
    List<Located> located = new ArrayList<>();
    for (Map.Entry<String, JsonNode> field : root.properties()) {
      if (field.getKey().equals(METADATA)) {
        parseMetadata(source, field.getValue(), metadata);
      } else {
        located.add(locate(source, field.getKey(), field.getValue(), dataBytes));
      }
    }
    located.sort(Comparator.comparingLong(Located::begin).thenComparingLong(Located::end));
    requireNoHoles(source, located, dataBytes);
    return new SafetensorsHeader(located.stream().map(Located::tensor).toList(), metadata);
  }

  private record Located(TensorSpec tensor, long begin, long end) {}

  private static void parseMetadata(String source, JsonNode node, Map<String, String> metadata) {
    if (!node.isObject()) {
      throw new UserException(source + " has a damaged header: its metadata is no JSON object");
    }
    for (Map.Entry<String, JsonNode> field : node.properties()) {
      if (!field.getValue().isTextual()) {
        throw new UserException(
            "%s has a damaged header: its metadata %s is no text"
                .formatted(source, field.getKey()));
      }
      metadata.put(field.getKey(), field.getValue().textValue());
    }
  }

  private static Located locate(String source, String name, JsonNode node, long dataBytes) {
    if (!node.isObject() || node.size() != 3) {
      throw damaged(source, name, "must have exactly dtype, shape and data_offsets");
    }
    DType dtype = null;
    for (DType known : DType.values()) {
      if (known.name().equals(node.path("dtype").textValue())) {
        dtype = known;
      }
    }
    if (dtype == null) {
      throw damaged(source, name, "has the unknown dtype " + node.path("dtype"));
    }
    List<Long> shape = sizes(source, name, node.path("shape"));
    List<Long> offsets = sizes(source, name, node.path("data_offsets"));
    if (offsets.size() != 2 || offsets.get(0) > offsets.get(1)) {
      throw damaged(source, name, "has the impossible data_offsets " + offsets);
    }
    long begin = offsets.get(0);
    long end = offsets.get(1);
    if (end > dataBytes) {
      throw damaged(
          source, name, "ends at byte " + end + " of its data, but the file has " + dataBytes);
    }
    TensorSpec tensor = new TensorSpec(name, dtype, shape);
    long expected;
    try {
      expected = tensor.bytes();
    } catch (ArithmeticException e) {
      throw damaged(source, name, "has the absurd shape " + shape);
    }
    if (expected != end - begin) {
      throw damaged(
          source,
          name,
          "of shape %s and dtype %s needs %d bytes but claims %d"
              .formatted(shape, dtype, expected, end - begin));
    }
    return new Located(tensor, begin, end);
  }

  private static List<Long> sizes(String source, String name, JsonNode node) {
    if (!node.isArray()) {
      throw damaged(source, name, "must have exactly dtype, shape and data_offsets");
    }
    List<Long> sizes = new ArrayList<>();
    for (JsonNode size : node) {
      if (!size.isIntegralNumber() || !size.canConvertToLong() || size.longValue() < 0) {
        throw damaged(source, name, "has the impossible size " + size);
      }
      sizes.add(size.longValue());
    }
    return sizes;
  }

  private static void requireNoHoles(String source, List<Located> located, long dataBytes) {
    long next = 0;
    String previous = "the header";
    for (Located tensor : located) {
      if (tensor.begin() < next) {
        throw damaged(source, tensor.tensor().name(), "overlaps with " + previous);
      }
      if (tensor.begin() > next) {
        throw damaged(
            source, tensor.tensor().name(), "leaves a hole between itself and " + previous);
      }
      next = tensor.end();
      previous = tensor.tensor().name();
    }
    if (next != dataBytes) {
      throw new UserException(
          "%s has %d bytes of data where its header describes %d; copy it again"
              .formatted(source, dataBytes, next));
    }
  }

  private static UserException damaged(String source, String tensor, String what) {
    return new UserException(
        "%s has a damaged header: the tensor %s %s".formatted(source, tensor, what));
  }
}
