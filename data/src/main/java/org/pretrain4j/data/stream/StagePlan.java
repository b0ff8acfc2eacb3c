package org.pretrain4j.data.stream;

import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.configuration.UserException;

/**
 * The stages of a run, as a function from step and row to a sample of a dataset. Each stage begins
 * its mixture anew; each dataset goes on where the stages before left it. Steps count from 0.
 *
 * <p>Planning needs no data: 11T tokens cost as much as one.
 */
public final class StagePlan {
  private final List<String> datasets;
  private final int rowsPerStep;
  private final List<Stage> stages;
  private final Mixture[] mixtures;
  private final long[] firstSteps;
  private final long[][] samplesBefore;

  /** A sample of a dataset, counted since the beginning of training. */
  public record Place(int dataset, long sample) {}

  /**
   * @param datasets names; a row's dataset is its index here
   * @param rowsPerStep sequences in a global batch
   * @throws UserException if a stage names an unknown dataset or has no usable weights
   */
  public StagePlan(List<String> datasets, int rowsPerStep, List<Stage> stages) {
    if (rowsPerStep < 1 || stages.isEmpty() || datasets.isEmpty()) {
      throw new UserException(
          rowsPerStep
              + " rows a step, "
              + stages.size()
              + " stages, "
              + datasets.size()
              + " datasets; expected at least one of each");
    }
    this.datasets = List.copyOf(datasets);
    this.rowsPerStep = rowsPerStep;
    this.stages = List.copyOf(stages);
    this.mixtures = new Mixture[stages.size()];
    this.firstSteps = new long[stages.size() + 1];
    this.samplesBefore = new long[stages.size()][];
    for (int s = 0; s < stages.size(); s++) {
      mixtures[s] = mixture(stages.get(s));
      firstSteps[s + 1] = Math.addExact(firstSteps[s], stages.get(s).steps());
    }
  }

  private Mixture mixture(Stage stage) {
    List<String> unknown = new ArrayList<>(stage.mixture().keySet());
    unknown.removeAll(datasets);
    if (!unknown.isEmpty()) {
      throw new UserException(
          "stage '" + stage.name() + "' mixes " + unknown + ", but the datasets are " + datasets);
    }
    try {
      return new Mixture(
          datasets.stream().mapToDouble(name -> stage.mixture().getOrDefault(name, 0.0)).toArray());
    } catch (UserException e) {
      throw new UserException("stage '" + stage.name() + "': " + e.getMessage(), e);
    }
  }

  public List<String> datasets() {
    return datasets;
  }

  public int rowsPerStep() {
    return rowsPerStep;
  }

  /** Steps of all stages together. */
  public long steps() {
    return firstSteps[stages.size()];
  }

  /** Number of the stage that a step belongs to; the last stage for the step after the end. */
  public int stageAt(long step) {
    if (step < 0 || step > steps()) {
      throw new IllegalArgumentException("step " + step + " of " + steps());
    }
    int stage = 0;
    while (stage < stages.size() - 1 && step >= firstSteps[stage + 1]) {
      stage++;
    }
    return stage;
  }

  public Stage stage(int number) {
    return stages.get(number);
  }

  public long firstStep(int stage) {
    return firstSteps[stage];
  }

  /** Share of a dataset in a stage, by its normalised weights. */
  public double weight(int stage, int dataset) {
    return mixtures[stage].weight(dataset);
  }

  /** Where a row of a global batch comes from. */
  public Place place(long step, int row) {
    if (step >= steps() || row < 0 || row >= rowsPerStep) {
      throw new IllegalArgumentException("row " + row + " of step " + step + " of " + steps());
    }
    int stage = stageAt(step);
    long n = Math.multiplyExact(step - firstSteps[stage], (long) rowsPerStep) + row;
    Mixture.Pick pick = mixtures[stage].pick(n);
    return new Place(pick.dataset(), samplesBefore(stage)[pick.dataset()] + pick.ordinal());
  }

  /** Samples of each dataset in all steps before a step. */
  public long[] samples(long step) {
    int stage = stageAt(step);
    long[] counts =
        mixtures[stage].counts(Math.multiplyExact(step - firstSteps[stage], (long) rowsPerStep));
    return sum(samplesBefore(stage), counts);
  }

  /** Samples of each dataset in the steps of its stage before a step. */
  public long[] samplesInStage(long step) {
    int stage = stageAt(step);
    return mixtures[stage].counts(Math.multiplyExact(step - firstSteps[stage], (long) rowsPerStep));
  }

  private synchronized long[] samplesBefore(int stage) {
    if (samplesBefore[stage] == null) {
      samplesBefore[stage] =
          stage == 0
              ? new long[datasets.size()]
              : sum(
                  samplesBefore(stage - 1),
                  mixtures[stage - 1].counts(
                      Math.multiplyExact(stages.get(stage - 1).steps(), (long) rowsPerStep)));
    }
    return samplesBefore[stage];
  }

  private static long[] sum(long[] a, long[] b) {
    long[] sum = new long[a.length];
    for (int i = 0; i < a.length; i++) {
      sum[i] = a[i] + b[i];
    }
    return sum;
  }
}
