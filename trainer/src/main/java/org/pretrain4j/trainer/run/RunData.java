package org.pretrain4j.trainer.run;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
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
   * Opens all datasets that some stage mixes.
   *
   * @throws UserException if something is missing, damaged, or does not fit the model
   */
  public static TokenStream open(RunConfig config, PreparationListener listener) {
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
      List<SequenceWindows> windows = new ArrayList<>();
      for (String name : usedDatasets(config)) {
        windows.add(
            preparation
                .prepare(name, config.data().datasets().get(name), config.seed(), folder)
                .windows(name, config.training().sequenceLength(), config.seed()));
      }
      TokenStream stream = new TokenStream(plan(config), windows);
      if (config.data().maxEpochs() > 0) {
        stream.requireEpochs(config.data().maxEpochs());
      }
      return stream;
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
    List<Stage> stages = new ArrayList<>();
    for (int i = 0; i < config.stages().size(); i++) {
      StageConfig stage = config.stages().get(i);
      stages.add(new Stage(stage.name(), config.stageSteps(i), stage.mixture()));
    }
    return new StagePlan(
        List.copyOf(usedDatasets(config)), Math.toIntExact(config.rowsPerStep()), stages);
  }

  /** In the order of the configuration, which is the order in which ties are decided. */
  private static Set<String> usedDatasets(RunConfig config) {
    Set<String> mixed = new LinkedHashSet<>();
    config.stages().forEach(stage -> mixed.addAll(stage.mixture().keySet()));
    Set<String> used = new LinkedHashSet<>(config.data().datasets().keySet());
    used.retainAll(mixed);
    return used;
  }
}
