package org.pretrain4j.checkpoints.gguf;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.tensors.ForeignJson;
import org.pretrain4j.configuration.UserException;

/** Takes a byte-level BPE tokenizer.json over into the keys of a GGUF file. */
final class GgufTokenizer {
  private static final int NORMAL = 1;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;
  private static final int UNUSED = 5;

  // Parts of the regular expressions by which known tokenizers cut text into words.
  private static final Map<String, String> KNOWN_SPLITS =
      Map.of("\\p{N}{1,3}", "llama-bpe", "\\p{L}+|\\p{N}|", "qwen2");

  private GgufTokenizer() {}

  /**
   * Adds the keys of a tokenizer.
   *
   * @param source path of the tokenizer.json, for messages
   * @throws UserException if the readers of GGUF have no such tokenizer
   */
  static void add(
      GgufHeader header,
      String source,
      byte[] tokenizer,
      Optional<String> chatTemplate,
      ModelArchitecture model) {
    JsonNode json = ForeignJson.parse(source, tokenizer);
    if (!json.path("model").path("type").asText().equals("BPE")) {
      throw new UserException(
          "%s is a tokenizer of type %s; only byte-level BPE can be written to GGUF"
              .formatted(source, json.path("model").path("type")));
    }
    int eos =
        model
            .eosTokenId()
            .orElseThrow(
                () ->
                    new UserException(
                        "a GGUF file needs to know the token that ends a text; give the model an eos_token_id"));
    List<String> tokens = new ArrayList<>();
    for (int id = 0; id < model.vocabSize(); id++) {
      tokens.add("[PAD" + id + "]");
    }
    List<Integer> types = new ArrayList<>(Collections.nCopies(model.vocabSize(), UNUSED));
    for (Map.Entry<String, JsonNode> entry : json.path("model").path("vocab").properties()) {
      set(source, tokens, types, entry.getValue().asInt(), entry.getKey(), NORMAL);
    }
    for (JsonNode added : json.path("added_tokens")) {
      int type = added.path("special").asBoolean() ? CONTROL : USER_DEFINED;
      set(source, tokens, types, added.path("id").asInt(), added.path("content").asText(), type);
    }
    List<String> merges = merges(json.path("model").path("merges"));
    header
        .putString("tokenizer.ggml.model", "gpt2")
        .putString("tokenizer.ggml.pre", split(source, json.path("pre_tokenizer"), merges))
        .putStrings("tokenizer.ggml.tokens", tokens)
        .putInts("tokenizer.ggml.token_type", types)
        .putStrings("tokenizer.ggml.merges", merges)
        .putInt("tokenizer.ggml.eos_token_id", eos)
        // Readers assume some other token if none is named; it is never added.
        .putInt("tokenizer.ggml.bos_token_id", model.bosTokenId().orElse(eos))
        .putBoolean("tokenizer.ggml.add_bos_token", false);
    model.padTokenId().ifPresent(id -> header.putInt("tokenizer.ggml.padding_token_id", id));
    // The readers' template engine has no slices without borders; they change nothing.
    chatTemplate.ifPresent(
        text -> header.putString("tokenizer.chat_template", text.replace("[:]", "")));
  }

  private static void set(
      String source, List<String> tokens, List<Integer> types, int id, String text, int type) {
    if (id < 0 || id >= tokens.size()) {
      throw new UserException(
          "%s has the token %d, but the vocabulary of the model ends at %d"
              .formatted(source, id, tokens.size() - 1));
    }
    tokens.set(id, text);
    types.set(id, type);
  }

  private static List<String> merges(JsonNode json) {
    List<String> merges = new ArrayList<>();
    for (JsonNode merge : json) {
      merges.add(
          merge.isArray() ? merge.get(0).asText() + " " + merge.get(1).asText() : merge.asText());
    }
    return merges;
  }

  /** The name under which GGUF readers know the way that text is cut into words. */
  private static String split(String source, JsonNode preTokenizer, List<String> merges) {
    if (merges.isEmpty()) {
      return "gpt-2"; // Bytes stay single, however they are cut.
    }
    String text = preTokenizer.toString().replace("\\\\", "\\");
    for (Map.Entry<String, String> known : KNOWN_SPLITS.entrySet()) {
      if (text.contains(known.getKey())) {
        return known.getValue();
      }
    }
    if (preTokenizer.path("type").asText().equals("ByteLevel")
        && preTokenizer.path("use_regex").asBoolean(true)) {
      return "gpt-2";
    }
    throw new UserException(
        "%s cuts text into words in a way that readers of GGUF don't know".formatted(source));
  }
}
