package org.pretrain4j.trainer.run;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.DataChange;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.DataConfig;
import org.pretrain4j.data.DatasetPreparation;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Quarantine;
import org.pretrain4j.data.shards.ReadPolicy;
import org.pretrain4j.data.shards.SequenceWindows;
import org.pretrain4j.data.storage.LocalCache;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.stream.Stage;
import org.pretrain4j.data.stream.StagePlan;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.Tokenizer;

/** The tokens of a run: its tokenizer, its datasets (tokenized now if need be) and its stages. */
public final class RunData {
  private static final Duration FIRST_RETRY_DELAY = Duration.ofMillis(200);

  private RunData() {}

  /**
   * Opens the data of a run that begins.
   *
   * @throws UserException if something is missing, damaged, or does not fit the model
   */
  public static TokenStream open(RunConfig config, PreparationListener listener) {
    return open(config, new DataHistory(config, Optional.empty(), false), listener).stream();
  }

  /**
   * Opens all datasets that some stage mixes, or mixed.
   *
   * @throws UserException if something is missing, damaged, or does not fit the model, or changed
   *     and may not
   */
  static OpenedData open(RunConfig config, DataHistory history, PreparationListener listener) {
    Storage storage = new Storage(new Configuration());
    try (Tokenizer tokenizer =
        Tokenizer.load(storage, config.tokenizer().path(), config.tokenizer().endOfDocument())) {
      if (tokenizer.vocabSize() > config.model().vocabSize()) {
        throw new UserException(
            "model.vocab_size is "
                + config.model().vocabSize()
                + ", but the tokenizer "
                + config.tokenizer().path()
                + " has "
                + tokenizer.vocabSize()
                + " tokens; make it at least that");
      }
      BlockCache cache = new BlockCache(BlockCache.DEFAULT_BYTES);
      DatasetPreparation preparation =
          new DatasetPreparation(storage, tokenizer, cache, policy(config, storage), listener);
      Path folder = new Path(config.data().preparedFolder().orElseThrow());
      Map<String, SequenceWindows> windows = new LinkedHashMap<>();
      Map<String, String> checksums = new LinkedHashMap<>();
      for (String name : history.datasets()) {
        SequenceWindows opened =
            preparation
                .prepare(name, config.data().datasets().get(name), config.seed(), folder)
                .windows(name, config.training().sequenceLength(), config.seed());
        windows.put(name, opened);
        checksums.put(name, opened.dataset().manifest().checksum());
      }
      List<DataChange> changes = history.changes(checksums);
      StagePlan plan = plan(config, changes);
      TokenStream stream =
          new TokenStream(plan, plan.datasets().stream().map(windows::get).toList());
      if (config.data().maxEpochs() > 0) {
        stream.requireEpochs(config.data().maxEpochs());
      }
      return new OpenedData(stream, changes);
    }
  }

  private static ReadPolicy policy(RunConfig config, Storage storage) {
    DataConfig data = config.data();
    Optional<Quarantine> quarantine =
        switch (data.onDamage()) {
          case STOP -> Optional.empty();
          case SUBSTITUTE -> {
            Path folder = new Path(config.runFolder().orElseThrow(), "quarantine");
            yield Optional.of(Quarantine.open(storage, folder));
          }
        };
    ReadPolicy policy = new ReadPolicy(data.readAttempts(), FIRST_RETRY_DELAY, quarantine);
    // The cache serves until the process ends; its threads do not keep the process alive.
    return data.cacheFolder()
        .map(folder -> new LocalCache(java.nio.file.Path.of(folder), data.cacheBytes()))
        .map(policy::withLocalCache)
        .orElse(policy);
  }

  /** Which dataset each row of each step comes from; needs no data. */
  public static StagePlan plan(RunConfig config) {
    return plan(config, List.of());
  }

  /** The same for a run whose data changed: what the changes keep, then the configuration. */
  static StagePlan plan(RunConfig config, List<DataChange> changes) {
    List<Stage> stages = new ArrayList<>();
    long planned = 0;
    for (DataChange change : changes) {
      for (DataChange.Stretch stretch : change.before()) {
        stages.add(new Stage(stretch.stage(), stretch.steps(), stretch.mixture()));
      }
      planned = change.step();
    }
    for (int i = 0; i < config.stages().size(); i++) {
      StageConfig stage = config.stages().get(i);
      long end = config.stageFirstStep(i) + config.stageSteps(i);
      if (end > planned) {
        stages.add(new Stage(stage.name(), end - planned, stage.mixture()));
        planned = end;
      }
    }
    return new StagePlan(
        List.copyOf(usedDatasets(config, changes)), Math.toIntExact(config.rowsPerStep()), stages);
  }

  /**
   * In the order of the configuration, which is the order in which ties are decided; after a change
   * those of before come first, in their own order.
   */
  static Set<String> usedDatasets(RunConfig config, List<DataChange> changes) {
    Set<String> used = new LinkedHashSet<>();
    changes.forEach(change -> used.addAll(change.datasetChecksums().keySet()));
    Set<String> mixed = new LinkedHashSet<>();
    config.stages().forEach(stage -> mixed.addAll(stage.mixture().keySet()));
    Set<String> configured = new LinkedHashSet<>(config.data().datasets().keySet());
    configured.retainAll(mixed);
    used.addAll(configured);
    return used;
  }
}
