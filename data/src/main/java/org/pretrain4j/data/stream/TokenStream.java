package org.pretrain4j.data.stream;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.Sequence;
import org.pretrain4j.data.shards.SequenceWindows;

/** The rows of all global batches: a pure function of step and row. Thread-safe, without state. */
public final class TokenStream {
  private final StagePlan plan;
  private final List<SequenceWindows> datasets;

  /**
   * @param datasets in the order of the plan's names, all of one sequence length
   */
  public TokenStream(StagePlan plan, List<SequenceWindows> datasets) {
    List<String> names = datasets.stream().map(SequenceWindows::name).toList();
    if (!names.equals(plan.datasets())) {
      throw new IllegalArgumentException("datasets " + names + " for a plan of " + plan.datasets());
    }
    if (datasets.stream().mapToInt(SequenceWindows::sequenceLength).distinct().count() != 1) {
      throw new IllegalArgumentException("datasets of several sequence lengths");
    }
    this.plan = plan;
    this.datasets = List.copyOf(datasets);
  }

  public StagePlan plan() {
    return plan;
  }

  public int sequenceLength() {
    return datasets.getFirst().sequenceLength();
  }

  /**
   * @param step from 0
   * @param rowInGlobalBatch from 0 to rowsPerStep - 1
   * @throws org.pretrain4j.data.shards.ShardException if the row's shard is missing or damaged
   */
  public Row row(long step, int rowInGlobalBatch) {
    StagePlan.Place place = plan.place(step, rowInGlobalBatch);
    Sequence sequence = datasets.get(place.dataset()).read(place.sample());
    return new Row(
        sequence.tokens(), sequence.documentStarts(), place.dataset(), sequence.substitute());
  }

  /**
   * Checks that no dataset is repeated too often in all stages together.
   *
   * @param most passes over a dataset
   * @throws UserException naming the first dataset that would be read more often
   */
  public void requireEpochs(double most) {
    for (Ledger.Entry entry : ledger(plan.steps()).entries()) {
      if (entry.epochs() > most) {
        throw new UserException(
            String.format(
                Locale.ROOT,
                "dataset '%s' would be read %.2f times by all stages, but data.max_epochs is %s;"
                    + " lower its weight, give it more data or raise the limit",
                entry.dataset(),
                entry.epochs(),
                most));
      }
    }
  }

  /** What identifies the tokens of each dataset: the checksum of its manifest, by name. */
  public Map<String, String> checksums() {
    Map<String, String> checksums = new LinkedHashMap<>();
    for (SequenceWindows windows : datasets) {
      checksums.put(windows.name(), windows.dataset().manifest().checksum());
    }
    return checksums;
  }

  /** What the steps before this one read; costs the same at any step. */
  public Ledger ledger(long step) {
    long[] samples = plan.samples(step);
    long[] inStage = plan.samplesInStage(step);
    int stage = plan.stageAt(step);
    double stageSamples = (double) (step - plan.firstStep(stage)) * plan.rowsPerStep();
    List<Ledger.Entry> entries = new ArrayList<>();
    for (int i = 0; i < samples.length; i++) {
      SequenceWindows windows = datasets.get(i);
      entries.add(
          new Ledger.Entry(
              windows.name(),
              samples[i],
              samples[i] * windows.sequenceLength(),
              (double) samples[i] / windows.perEpoch(),
              inStage[i] / stageSamples,
              plan.weight(stage, i)));
    }
    return new Ledger(step, entries);
  }
}
