package org.pretrain4j.data.tokens;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.pretrain4j.configuration.UserException;

/** What we need to know of a tokenizer.json that the native library does not tell. */
final class TokenizerFile {
  private final String json;
  private final Map<String, Integer> ids;
  private final int vocabSize;
  private final BitSet special;
  private final Pattern specialSpellings;
  private final boolean lineEndsSeparate;

  private TokenizerFile(
      String json,
      Map<String, Integer> ids,
      int vocabSize,
      BitSet special,
      Pattern spellings,
      boolean lineEndsSeparate) {
    this.json = json;
    this.ids = ids;
    this.vocabSize = vocabSize;
    this.special = special;
    this.specialSpellings = spellings;
    this.lineEndsSeparate = lineEndsSeparate;
  }

  static TokenizerFile parse(String path, byte[] content) {
    JsonNode root;
    try {
      root = new ObjectMapper().readTree(content);
    } catch (IOException e) {
      throw new UserException(
          "'"
              + path
              + "' is not a tokenizer.json: "
              + String.valueOf(e.getMessage()).lines().findFirst().orElse(""),
          e);
    }
    if (!(root instanceof ObjectNode object) || !root.path("model").isObject()) {
      throw new UserException("'" + path + "' is not a tokenizer.json: it has no 'model'");
    }
    Map<String, Integer> ids = new HashMap<>();
    JsonNode vocabulary = root.path("model").path("vocab");
    if (vocabulary.isObject()) {
      vocabulary
          .properties()
          .forEach(entry -> ids.put(entry.getKey(), entry.getValue().intValue()));
    } else {
      // Unigram models list pairs of token and score; the place in the list is the id.
      for (int i = 0; i < vocabulary.size(); i++) {
        ids.put(vocabulary.get(i).path(0).asText(), i);
      }
    }
    BitSet special = new BitSet();
    List<String> spellings = new ArrayList<>();
    for (JsonNode token : root.path("added_tokens")) {
      ids.put(token.path("content").asText(), token.path("id").intValue());
      if (token.path("special").asBoolean()) {
        special.set(token.path("id").intValue());
        spellings.add(Pattern.quote(token.path("content").asText()));
      }
    }
    if (ids.isEmpty()) {
      throw new UserException("'" + path + "' is not a tokenizer.json: its vocabulary is empty");
    }
    int vocabSize = ids.values().stream().mapToInt(Integer::intValue).max().orElseThrow() + 1;
    return new TokenizerFile(
        withoutTruncation(object, content),
        ids,
        vocabSize,
        special,
        spellings.isEmpty() ? null : Pattern.compile(String.join("|", spellings)),
        LineEnds.separate(root));
  }

  /** A file made for inference may truncate or pad, which would lose or add training text. */
  private static String withoutTruncation(ObjectNode root, byte[] content) {
    if (root.path("truncation").isObject() || root.path("padding").isObject()) {
      root.putNull("truncation");
      root.putNull("padding");
      return root.toString();
    }
    return new String(content, StandardCharsets.UTF_8);
  }

  String json() {
    return json;
  }

  int id(String token) {
    return ids.getOrDefault(token, -1);
  }

  int vocabSize() {
    return vocabSize;
  }

  /** True if text may be cut where {@link TextPieces} cuts. */
  boolean lineEndsSeparate() {
    return lineEndsSeparate;
  }

  boolean containsSpecial(int[] tokens) {
    for (int token : tokens) {
      if (special.get(token)) {
        return true;
      }
    }
    return false;
  }

  /** Cuts the text after the first character of each spelling of a special token. */
  List<String> splitSpecialSpellings(String text) {
    List<String> parts = new ArrayList<>();
    Matcher matcher = specialSpellings.matcher(text);
    int from = 0;
    while (matcher.find()) {
      int to = text.offsetByCodePoints(matcher.start(), 1);
      parts.add(text.substring(from, to));
      from = to;
    }
    parts.add(text.substring(from));
    return parts;
  }
}
