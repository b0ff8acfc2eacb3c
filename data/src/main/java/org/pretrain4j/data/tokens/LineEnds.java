package org.pretrain4j.data.tokens;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Set;

/**
 * Whether a tokenizer never makes a token of what stands on both sides of a line end at which
 * {@link TextPieces} cuts. That takes three things: no added token reaches over it, normalization
 * works on each side alone, and the pre-tokenizer begins a new word after it, whatever stands
 * further away. All of it is known for the usual byte-level tokenizers and those that split at
 * white space; any other, such as one of SentencePiece's kind, is taken to join lines.
 */
final class LineEnds {
  // The line end is a character that composes with no other and keeps marks in their places.
  private static final Set<String> LOCAL_NORMALIZERS =
      Set.of("NFC", "NFD", "NFKC", "NFKD", "Lowercase");

  private static final Set<String> SPLITTING_AT_WHITE_SPACE =
      Set.of("Whitespace", "WhitespaceSplit", "BertPreTokenizer");

  private static final String CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  private static final String PUNCTUATION = "| ?[^\\s\\p{L}\\p{N}]+";
  private static final String SPACES = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  private static final String BEFORE_WORD = "[^\\r\\n\\p{L}\\p{N}]?";
  private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
  private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";

  /**
   * Expressions whose matches hold a line end only if it is their last character, or stands among
   * white space or before a slash.
   */
  private static final Set<String> SEPARATING =
      Set.of(
          // GPT-2
          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+" + PUNCTUATION + "|\\s+(?!\\S)|\\s+",
          // GPT-4, Llama 3, SmolLM3
          CONTRACTIONS
              + "|"
              + BEFORE_WORD
              + "\\p{L}+|\\p{N}{1,3}"
              + PUNCTUATION
              + "[\\r\\n]*"
              + SPACES,
          // Qwen 2 and 3
          CONTRACTIONS + "|" + BEFORE_WORD + "\\p{L}+|\\p{N}" + PUNCTUATION + "[\\r\\n]*" + SPACES,
          // GPT-4o
          BEFORE_WORD
              + UPPER
              + "*"
              + LOWER
              + "+"
              + CONTRACTIONS
              + "?|"
              + BEFORE_WORD
              + UPPER
              + "+"
              + LOWER
              + "*"
              + CONTRACTIONS
              + "?|\\p{N}{1,3}"
              + PUNCTUATION
              + "[\\r\\n/]*"
              + SPACES);

  private LineEnds() {}

  /**
   * @param tokenizer the content of a tokenizer.json
   */
  static boolean separate(JsonNode tokenizer) {
    for (JsonNode token : tokenizer.path("added_tokens")) {
      if (token.path("content").asText().contains("\n")
          || token.path("lstrip").asBoolean()
          || token.path("rstrip").asBoolean()
          || token.path("single_word").asBoolean()) {
        return false;
      }
    }
    return isLocal(tokenizer.path("normalizer")) && separates(tokenizer.path("pre_tokenizer"));
  }

  private static boolean isLocal(JsonNode normalizer) {
    if (!normalizer.isObject()) {
      return true;
    }
    if (!normalizer.path("type").asText().equals("Sequence")) {
      return LOCAL_NORMALIZERS.contains(normalizer.path("type").asText());
    }
    for (JsonNode part : normalizer.path("normalizers")) {
      if (!isLocal(part)) {
        return false;
      }
    }
    return true;
  }

  private static boolean separates(JsonNode preTokenizer) {
    if (!preTokenizer.path("type").asText().equals("Sequence")) {
      return isSeparator(preTokenizer);
    }
    boolean found = false;
    for (JsonNode part : preTokenizer.path("pretokenizers")) {
      boolean separator = isSeparator(part);
      if (!separator && !isHarmless(part)) {
        return false;
      }
      found |= separator;
    }
    return found;
  }

  private static boolean isSeparator(JsonNode part) {
    String type = part.path("type").asText();
    return switch (type) {
      case "ByteLevel" -> !addsSpace(part) && part.path("use_regex").asBoolean(true);
      case "Split" ->
          SEPARATING.contains(part.path("pattern").path("Regex").asText())
              && part.path("behavior").asText().equals("Isolated")
              && !part.path("invert").asBoolean();
      default -> SPLITTING_AT_WHITE_SPACE.contains(type);
    };
  }

  /** Beside a separator: looks at characters one by one, or maps them. */
  private static boolean isHarmless(JsonNode part) {
    String type = part.path("type").asText();
    return type.equals("Digits") || type.equals("ByteLevel") && !addsSpace(part);
  }

  private static boolean addsSpace(JsonNode byteLevel) {
    return byteLevel.path("add_prefix_space").asBoolean(true);
  }
}
