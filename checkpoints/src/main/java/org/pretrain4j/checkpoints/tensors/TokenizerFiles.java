package org.pretrain4j.checkpoints.tensors;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/** Whether two tokenizer.json files mean the same by each token. */
public final class TokenizerFiles {
  private TokenizerFiles() {}

  /**
   * Compares the vocabularies: which text has which id. How the files are laid out, and how they
   * cut text into words, does not count.
   *
   * @param leftSource name of the file, for messages
   * @throws UserException if one of them is no JSON
   */
  public static boolean sameVocabulary(
      String leftSource, byte[] left, String rightSource, byte[] right) {
    return Arrays.equals(left, right)
        || vocabulary(leftSource, left).equals(vocabulary(rightSource, right));
  }

  private static Map<String, Integer> vocabulary(String source, byte[] content) {
    JsonNode json = ForeignJson.parse(source, content);
    Map<String, Integer> ids = new TreeMap<>();
    json.path("model")
        .path("vocab")
        .properties()
        .forEach(entry -> ids.put(entry.getKey(), entry.getValue().asInt()));
    for (JsonNode added : json.path("added_tokens")) {
      ids.put(added.path("content").asText(), added.path("id").asInt());
    }
    return ids;
  }
}
