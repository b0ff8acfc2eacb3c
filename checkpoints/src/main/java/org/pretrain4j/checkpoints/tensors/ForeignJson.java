package org.pretrain4j.checkpoints.tensors;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import org.pretrain4j.configuration.UserException;

/** JSON that other programs wrote. A key that appears twice is refused. */
public final class ForeignJson {
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  private ForeignJson() {}

  /**
   * Parses a whole file.
   *
   * @param source name of the file, for messages
   * @throws UserException in one line, if it is no JSON
   */
  public static JsonNode parse(String source, byte[] content) {
    try {
      return JSON.readTree(content);
    } catch (JsonProcessingException e) {
      throw new UserException("%s is no JSON: %s".formatted(source, e.getOriginalMessage()), e);
    } catch (IOException e) {
      throw new UserException("%s is no JSON: %s".formatted(source, e.getMessage()), e);
    }
  }
}
