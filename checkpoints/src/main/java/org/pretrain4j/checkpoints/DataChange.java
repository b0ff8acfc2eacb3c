package org.pretrain4j.checkpoints;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where a run was continued with other data than it had begun with. What it read before cannot be
 * worked out from its configuration any more, so it is kept here.
 *
 * @param step the 0-based step from which on the data is other
 * @param what changed, in words
 * @param before what the steps since the change before, or since the beginning, were made of
 * @param datasetChecksums what identified the tokens of each dataset in these steps
 */
public record DataChange(
    long step, List<String> what, List<Stretch> before, Map<String, String> datasetChecksums) {

  /**
   * Steps with one mixture.
   *
   * @param stage name of their stage
   * @param steps their number
   * @param mixture weights by dataset
   */
  public record Stretch(String stage, long steps, Map<String, Double> mixture) {
    public Stretch {
      mixture = Collections.unmodifiableMap(new LinkedHashMap<>(mixture));
    }
  }

  public DataChange {
    what = List.copyOf(what);
    before = List.copyOf(before);
    datasetChecksums = Collections.unmodifiableMap(new LinkedHashMap<>(datasetChecksums));
  }
}
