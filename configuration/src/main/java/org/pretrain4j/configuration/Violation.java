package org.pretrain4j.configuration;

import java.util.List;

/**
 * One thing that is wrong with a configuration.
 *
 * @param where the place that says it, {@code configs/run.yaml:12} or {@code --set a.b=c}; empty
 *     where a record was made in Java
 * @param keys the keys involved, as paths such as {@code stages[1].mixture.web}; the first one is
 *     the one to mend
 * @param problem what is wrong with the first key and how to mend it: {@code is 1.5, expected ...}
 */
public record Violation(String where, List<String> keys, String problem) {
  public Violation {
    keys = List.copyOf(keys);
    if (keys.isEmpty()) {
      throw new IllegalArgumentException("a violation without a key: " + problem);
    }
  }

  /** The key to mend; empty for the configuration as a whole. */
  public String key() {
    return keys.getFirst();
  }

  /** Place, key and problem in one line. */
  public String line() {
    String place = where.isEmpty() ? "" : where + ": ";
    return place + (key().isEmpty() ? problem : key() + " " + problem);
  }
}
