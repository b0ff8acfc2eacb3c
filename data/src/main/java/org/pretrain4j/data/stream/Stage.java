package org.pretrain4j.data.stream;

import java.util.LinkedHashMap;
import java.util.Map;
import org.pretrain4j.configuration.UserException;

/**
 * A stretch of training with one mixture.
 *
 * @param name for messages and metrics
 * @param steps its length
 * @param mixture weights by dataset name; need not sum to 1
 */
public record Stage(String name, long steps, Map<String, Double> mixture) {
  public Stage {
    if (steps < 1) {
      throw new UserException("stage '" + name + "' has " + steps + " steps; expected 1 or more");
    }
    mixture = new LinkedHashMap<>(mixture);
  }
}
