package org.pretrain4j.data.tokens;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A small BPE as a tokenizer.json, with merges that were learnt without any pre-tokenizer, so that
 * they reach over spaces and line ends: a pre-tokenizer that does not keep words apart is found
 * out.
 */
final class TrainedBpe {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String LLAMA_3 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
          + " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  private static final String GPT_4O =
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
          + "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
          + "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}|"
          + " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  /** What comes before the merges. */
  enum Kind {
    GPT_2(null, byteLevel(false, true), false),
    GPT_2_NFKC("{'type': 'NFKC'}", byteLevel(false, true), false),
    GPT_2_DIGITS(
        "{'type': 'Sequence', 'normalizers': [{'type': 'Lowercase'}, {'type': 'NFD'}]}",
        sequence("{'type': 'Digits', 'individual_digits': true}", byteLevel(false, true)),
        false),
    LLAMA_3_LIKE(null, sequence(split(LLAMA_3, "Isolated"), byteLevel(false, false)), false),
    GPT_4O_LIKE(null, sequence(split(GPT_4O, "Isolated"), byteLevel(false, false)), false),
    PREFIX_SPACE(null, byteLevel(true, true), true),
    NO_WORDS(null, byteLevel(false, false), true),
    LINES_WITH_SPACE(null, sequence(split("\\s*\\S+", "Isolated"), byteLevel(false, false)), true),
    METASPACE(
        null,
        "{'type': 'Metaspace', 'replacement': '\u2581', 'prepend_scheme': 'always', 'split': true}",
        true),
    LLAMA_2_LIKE(
        "{'type': 'Sequence', 'normalizers': [{'type': 'Prepend', 'prepend': '\u2581'},"
            + " {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '\u2581'}]}",
        null,
        true);

    private final String normalizer;
    private final String preTokenizer;
    private final boolean joinsLines;

    Kind(String normalizer, String preTokenizer, boolean joinsLines) {
      this.normalizer = normalizer;
      this.preTokenizer = preTokenizer;
      this.joinsLines = joinsLines;
    }

    /** True if it makes tokens of what stands on both sides of a line end. */
    boolean joinsLines() {
      return joinsLines;
    }

    private boolean ofBytes() {
      return preTokenizer != null && preTokenizer.contains("ByteLevel");
    }
  }

  private TrainedBpe() {}

  private static String byteLevel(boolean addPrefixSpace, boolean useRegex) {
    return "{'type': 'ByteLevel', 'add_prefix_space': %s, 'trim_offsets': true, 'use_regex': %s}"
        .formatted(addPrefixSpace, useRegex);
  }

  private static String split(String regex, String behavior) {
    return "{'type': 'Split', 'pattern': {'Regex': \"%s\"}, 'behavior': '%s', 'invert': false}"
        .formatted(regex.replace("\\", "\\\\").replace("'", "\\u0027"), behavior);
  }

  private static String sequence(String... parts) {
    return "{'type': 'Sequence', 'pretokenizers': [" + String.join(", ", parts) + "]}";
  }

  /** A tokenizer.json with so many merges, learnt from a sample. */
  static String json(Kind kind, String sample, int merges) throws Exception {
    List<String> symbols = new ArrayList<>();
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    if (kind.ofBytes()) {
      String[] alphabet = byteAlphabet();
      for (String symbol : alphabet) {
        vocabulary.put(symbol, vocabulary.size());
      }
      for (byte b : sample.getBytes(StandardCharsets.UTF_8)) {
        symbols.add(alphabet[b & 0xff]);
      }
    } else {
      vocabulary.put("<unk>", 0);
      sample
          .replace(' ', '\u2581')
          .codePoints()
          .mapToObj(Character::toString)
          .forEach(symbols::add);
      symbols.forEach(symbol -> vocabulary.putIfAbsent(symbol, vocabulary.size()));
    }
    List<List<String>> learnt = learn(symbols, merges);
    learnt.forEach(pair -> vocabulary.putIfAbsent(String.join("", pair), vocabulary.size()));

    ObjectNode root = JSON.createObjectNode();
    root.put("version", "1.0");
    ArrayNode added = root.putArray("added_tokens");
    for (String token : List.of("<|end_of_text|>", "<tool>")) {
      ObjectNode node = added.addObject();
      node.put("id", vocabulary.size() + added.size() - 1).put("content", token);
      for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
        node.put(flag, false);
      }
      node.put("special", token.startsWith("<|"));
    }
    root.set("normalizer", parse(kind.normalizer));
    root.set("pre_tokenizer", parse(kind.preTokenizer));
    ObjectNode model = root.putObject("model");
    model.put("type", "BPE");
    if (!kind.ofBytes()) {
      model.put("unk_token", "<unk>");
    }
    model.set("vocab", JSON.valueToTree(vocabulary));
    model.set("merges", JSON.valueToTree(learnt));
    return JSON.writeValueAsString(root);
  }

  private static com.fasterxml.jackson.databind.JsonNode parse(String text) throws Exception {
    return text == null ? JSON.nullNode() : JSON.readTree(text.replace('\'', '"'));
  }

  /** Joins the most frequent pair, again and again. */
  private static List<List<String>> learn(List<String> symbols, int merges) {
    List<List<String>> learnt = new ArrayList<>();
    List<String> text = symbols;
    for (int i = 0; i < merges; i++) {
      Map<List<String>, Integer> counts = new HashMap<>();
      List<String> best = null;
      for (int at = 1; at < text.size(); at++) {
        List<String> pair = List.of(text.get(at - 1), text.get(at));
        int count = counts.merge(pair, 1, Integer::sum);
        best = best == null || count > counts.get(best) ? pair : best;
      }
      learnt.add(best);
      List<String> joined = new ArrayList<>();
      for (int at = 0; at < text.size(); at++) {
        boolean pair =
            at + 1 < text.size()
                && text.get(at).equals(best.get(0))
                && text.get(at + 1).equals(best.get(1));
        joined.add(pair ? best.get(0) + best.get(1) : text.get(at));
        at += pair ? 1 : 0;
      }
      text = joined;
    }
    return learnt;
  }

  /** The visible character that byte-level tokenizers write for each byte. */
  private static String[] byteAlphabet() {
    String[] alphabet = new String[256];
    int next = 256;
    for (int b = 0; b < 256; b++) {
      boolean visible = b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae;
      alphabet[b] = Character.toString(visible ? b : next++);
    }
    return alphabet;
  }
}
