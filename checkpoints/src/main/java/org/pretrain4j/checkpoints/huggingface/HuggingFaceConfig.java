package org.pretrain4j.checkpoints.huggingface;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.List;
import java.util.OptionalInt;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.configuration.UserException;

/** Reads and writes config.json. */
final class HuggingFaceConfig {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** The first version of transformers that knows SmolLM3. */
  private static final String TRANSFORMERS_VERSION = "4.53.0";

  private HuggingFaceConfig() {}

  /** All keys of the released SmolLM3 model. */
  static byte[] write(ModelArchitecture model, DType dtype) throws IOException {
    ObjectNode json = JSON.createObjectNode();
    json.putArray("architectures").add("SmolLM3ForCausalLM");
    json.put("attention_bias", false);
    json.put("attention_dropout", 0.0);
    putId(json, "bos_token_id", model.bosTokenId());
    putId(json, "eos_token_id", model.eosTokenId());
    json.put("head_dim", model.headDim());
    json.put("hidden_act", "silu");
    json.put("hidden_size", model.hiddenSize());
    json.put("initializer_range", model.initializerRange());
    json.put("intermediate_size", model.intermediateSize());
    ArrayNode layerTypes = json.putArray("layer_types");
    for (int layer = 0; layer < model.numHiddenLayers(); layer++) {
      layerTypes.add("full_attention");
    }
    json.put("max_position_embeddings", model.maxPositionEmbeddings());
    json.put("max_window_layers", 28);
    json.put("mlp_bias", false);
    json.put("model_type", "smollm3");
    // An interval beyond the last layer, since 0 would be divided by.
    json.put(
        "no_rope_layer_interval",
        model.noRopeLayerInterval() == 0
            ? model.numHiddenLayers() + 1
            : model.noRopeLayerInterval());
    ArrayNode noRopeLayers = json.putArray("no_rope_layers");
    for (int layer = 0; layer < model.numHiddenLayers(); layer++) {
      noRopeLayers.add(model.rotates(layer) ? 1 : 0); // 1 means with rotary embeddings.
    }
    json.put("num_attention_heads", model.numAttentionHeads());
    json.put("num_hidden_layers", model.numHiddenLayers());
    json.put("num_key_value_heads", model.numKeyValueHeads());
    putId(json, "pad_token_id", model.padTokenId());
    json.put("pretraining_tp", 2);
    json.put("rms_norm_eps", model.rmsNormEps());
    json.putNull("rope_scaling");
    json.put("rope_theta", model.ropeTheta());
    json.putNull("sliding_window");
    json.put("tie_word_embeddings", model.tieWordEmbeddings());
    json.put("torch_dtype", torchName(dtype));
    json.put("transformers_version", TRANSFORMERS_VERSION);
    json.put("use_cache", false);
    json.put("use_sliding_window", false);
    json.put("vocab_size", model.vocabSize());
    return JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(json);
  }

  /** The sampling defaults that SmolLM3 recommends. */
  static byte[] writeGeneration(ModelArchitecture model) throws IOException {
    ObjectNode json = JSON.createObjectNode();
    json.put("_from_model_config", false);
    putId(json, "bos_token_id", model.bosTokenId());
    putId(json, "eos_token_id", model.eosTokenId());
    putId(json, "pad_token_id", model.padTokenId());
    json.put("do_sample", true);
    json.put("temperature", 0.6);
    json.put("top_p", 0.95);
    json.put("transformers_version", TRANSFORMERS_VERSION);
    return JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(json);
  }

  private static String torchName(DType dtype) {
    return switch (dtype) {
      case BF16 -> "bfloat16";
      case F16 -> "float16";
      default -> "float32";
    };
  }

  private static void putId(ObjectNode json, String key, OptionalInt id) {
    if (id.isPresent()) {
      json.put(key, id.getAsInt());
    } else {
      json.putNull(key);
    }
  }

  /**
   * Reads a config.json.
   *
   * @param source its path, for messages
   * @throws UserException if it is no JSON, lacks a key, or describes another kind of model
   */
  static ModelArchitecture read(String source, byte[] content) {
    JsonNode json;
    try {
      json = JSON.readTree(content);
    } catch (JsonProcessingException e) {
      throw new UserException("%s is no JSON: %s".formatted(source, e.getOriginalMessage()), e);
    } catch (IOException e) {
      throw new UserException("%s can't be read: %s".formatted(source, e.getMessage()), e);
    }
    String type = json.path("model_type").asText("");
    if (!List.of("smollm3", "llama").contains(type)) {
      throw new UserException(
          "%s has the unknown model_type '%s'; smollm3 and llama can be imported"
              .formatted(source, type));
    }
    refuse(source, json, "attention_bias", json.path("attention_bias").asBoolean(false));
    refuse(source, json, "mlp_bias", json.path("mlp_bias").asBoolean(false));
    refuse(source, json, "use_sliding_window", json.path("use_sliding_window").asBoolean(false));
    refuse(source, json, "hidden_act", !json.path("hidden_act").asText("silu").equals("silu"));
    boolean smollm3 = type.equals("smollm3");
    int heads = size(source, json, "num_attention_heads");
    int hidden = size(source, json, "hidden_size");
    int layers = size(source, json, "num_hidden_layers");
    try {
      return new ModelArchitecture(
          size(source, json, "vocab_size"),
          hidden,
          size(source, json, "intermediate_size"),
          layers,
          heads,
          json.hasNonNull("num_key_value_heads")
              ? size(source, json, "num_key_value_heads")
              : heads,
          json.hasNonNull("head_dim") ? size(source, json, "head_dim") : hidden / heads,
          ropeTheta(source, json, smollm3 ? 2_000_000 : 10_000),
          smollm3 ? noRopeInterval(source, json, layers) : 0,
          json.path("rms_norm_eps").asDouble(1e-6),
          json.path("initializer_range").asDouble(0.02),
          json.path("max_position_embeddings").asInt(smollm3 ? 32_768 : 2048),
          json.path("tie_word_embeddings").asBoolean(smollm3),
          id(json, "bos_token_id"),
          id(json, "eos_token_id"),
          id(json, "pad_token_id"));
    } catch (IllegalArgumentException e) {
      throw new UserException("%s is inconsistent: %s".formatted(source, e.getMessage()), e);
    }
  }

  private static void refuse(String source, JsonNode json, String key, boolean present) {
    if (present) {
      throw new UserException("%s: %s %s is not supported".formatted(source, key, json.path(key)));
    }
  }

  private static int size(String source, JsonNode json, String key) {
    JsonNode value = json.path(key);
    if (!value.isInt() || value.intValue() <= 0) {
      throw new UserException(
          "%s: %s must be a positive number, not %s"
              .formatted(source, key, value.isMissingNode() ? "absent" : value));
    }
    return value.intValue();
  }

  /** Newer writers group the rotary keys as rope_parameters. */
  private static double ropeTheta(String source, JsonNode json, double otherwise) {
    JsonNode grouped = json.path("rope_parameters");
    JsonNode scaling = json.hasNonNull("rope_scaling") ? json.path("rope_scaling") : grouped;
    String type = scaling.path("rope_type").asText(scaling.path("type").asText("default"));
    if (!type.equals("default")) {
      throw new UserException(
          "%s: the rope_type '%s' is not supported, only unscaled rotary embeddings are"
              .formatted(source, type));
    }
    JsonNode theta =
        grouped.hasNonNull("rope_theta") ? grouped.path("rope_theta") : json.path("rope_theta");
    return theta.asDouble(otherwise);
  }

  private static int noRopeInterval(String source, JsonNode json, int layers) {
    int declared = json.path("no_rope_layer_interval").asInt(4);
    // This is how none is written.
    int interval = declared == layers + 1 ? 0 : declared;
    JsonNode listed = json.path("no_rope_layers");
    if (!listed.isArray() || follows(listed, interval, layers)) {
      return interval;
    }
    // The list counts more than the interval.
    int first = 0;
    while (first < listed.size() && listed.get(first).asInt() == 1) {
      first++;
    }
    int found = first == listed.size() ? 0 : first + 1;
    if (!follows(listed, found, layers)) {
      throw new UserException(
          "%s: no_rope_layers %s is not supported, only every n-th of %d layers may lack rotation"
              .formatted(source, listed, layers));
    }
    return found;
  }

  private static boolean follows(JsonNode listed, int interval, int layers) {
    boolean follows = listed.size() == layers;
    for (int layer = 0; follows && layer < layers; layer++) {
      boolean rotates = interval == 0 || (layer + 1) % interval != 0;
      follows = (listed.get(layer).asInt() == 1) == rotates;
    }
    return follows;
  }

  private static OptionalInt id(JsonNode json, String key) {
    JsonNode value = json.path(key);
    JsonNode first = value.isArray() ? value.path(0) : value;
    return first.isInt() ? OptionalInt.of(first.intValue()) : OptionalInt.empty();
  }
}
