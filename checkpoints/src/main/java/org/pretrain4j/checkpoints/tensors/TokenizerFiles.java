package org.pretrain4j.checkpoints.tensors;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/** Whether two tokenizer.json files mean the same by each token. */
public final class TokenizerFiles {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private TokenizerFiles() {}

  /**
   * Compares the vocabularies: which text has which id. How the files are laid out, and how they
   * cut text into words, does not count.
   *
   * @throws IOException if one of them is no JSON
   */
  public static boolean sameVocabulary(byte[] left, byte[] right) throws IOException {
    return Arrays.equals(left, right) || vocabulary(left).equals(vocabulary(right));
  }

  private static Map<String, Integer> vocabulary(byte[] content) throws IOException {
    JsonNode json = JSON.readTree(content);
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
