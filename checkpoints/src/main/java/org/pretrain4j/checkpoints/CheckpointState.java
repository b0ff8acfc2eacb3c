package org.pretrain4j.checkpoints;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a run must know besides its tensors to go on as if nothing had happened. A field that an
 * older writer did not know is empty.
 *
 * @param step number of steps done, which is also the 0-based step that comes next
 * @param tokens tokens consumed so far
 * @param stage name of the stage that the last step belonged to
 * @param tokensByDataset tokens consumed so far, by dataset
 * @param datasetChecksums what identifies the tokens of each dataset, by its name
 * @param dataChanges where the run was continued with other data, in the order of their steps
 * @param seed seed of the run
 * @param counters other counts, such as the skipped steps
 * @param spikeWindow the recent losses that the spike detector looks at, oldest first
 * @param configuration the resolved configuration as YAML text
 * @param versions versions of the program and of the libraries that matter, by name
 */
public record CheckpointState(
    long step,
    long tokens,
    String stage,
    Map<String, Long> tokensByDataset,
    Map<String, String> datasetChecksums,
    List<DataChange> dataChanges,
    long seed,
    Map<String, Long> counters,
    List<Double> spikeWindow,
    String configuration,
    Map<String, String> versions) {

  public CheckpointState {
    if (step < 0 || tokens < 0) {
      throw new IllegalArgumentException("step " + step + " and tokens " + tokens + " can't be");
    }
    stage = stage == null ? "" : stage;
    tokensByDataset = ordered(tokensByDataset);
    datasetChecksums = ordered(datasetChecksums);
    dataChanges = dataChanges == null ? List.of() : List.copyOf(dataChanges);
    counters = ordered(counters);
    spikeWindow = spikeWindow == null ? List.of() : List.copyOf(spikeWindow);
    configuration = configuration == null ? "" : configuration;
    versions = ordered(versions);
  }

  private static <V> Map<String, V> ordered(Map<String, V> map) {
    return map == null ? Map.of() : Collections.unmodifiableMap(new LinkedHashMap<>(map));
  }

  /** Starts a state; what is not set stays empty. */
  public static Builder builder(long step) {
    return new Builder(step);
  }

  /** Collects the fields of a state, so that a new one does not break those who don't know it. */
  public static final class Builder {
    private final long step;
    private long tokens;
    private String stage;
    private Map<String, Long> tokensByDataset;
    private Map<String, String> datasetChecksums;
    private List<DataChange> dataChanges;
    private long seed;
    private Map<String, Long> counters;
    private List<Double> spikeWindow;
    private String configuration;
    private Map<String, String> versions;

    private Builder(long step) {
      this.step = step;
    }

    public Builder tokens(long value) {
      tokens = value;
      return this;
    }

    public Builder stage(String value) {
      stage = value;
      return this;
    }

    public Builder tokensByDataset(Map<String, Long> value) {
      tokensByDataset = value;
      return this;
    }

    public Builder datasetChecksums(Map<String, String> value) {
      datasetChecksums = value;
      return this;
    }

    public Builder dataChanges(List<DataChange> value) {
      dataChanges = value;
      return this;
    }

    public Builder seed(long value) {
      seed = value;
      return this;
    }

    public Builder counters(Map<String, Long> value) {
      counters = value;
      return this;
    }

    public Builder spikeWindow(List<Double> value) {
      spikeWindow = value;
      return this;
    }

    public Builder configuration(String value) {
      configuration = value;
      return this;
    }

    public Builder versions(Map<String, String> value) {
      versions = value;
      return this;
    }

    public CheckpointState build() {
      return new CheckpointState(
          step,
          tokens,
          stage,
          tokensByDataset,
          datasetChecksums,
          dataChanges,
          seed,
          counters,
          spikeWindow,
          configuration,
          versions);
    }
  }
}
