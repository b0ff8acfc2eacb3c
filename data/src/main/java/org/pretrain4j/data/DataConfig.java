package org.pretrain4j.data;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/** The datasets that a run's stages may mix, and how they are read. */
public record DataConfig(
    @Key(
            "The datasets by name; a stage's mixture refers to them, and one that no stage names is"
                + " never read")
        Map<String, DatasetConfig> datasets,
    @Key("How many steps the loader reads ahead of the trainer") @Default("4") int readAheadSteps,
    @Key("Folder for the shards of datasets given as text or synthetic, one folder each")
        @Default(value = "null", meaning = "`<run_folder>/data`")
        Optional<String> preparedFolder,
    @Key(
            "What a damaged or missing shard does: `stop` the run, or `substitute` its sequences by"
                + " others of the dataset, recorded in `<run_folder>/quarantine`")
        @Default("stop")
        OnDamage onDamage,
    @Key("How often a block of a shard is read before it counts as failed, with growing delays")
        @Default("3")
        int readAttempts,
    @Key(
            "Most passes over one dataset in all stages together; more is an error before training;"
                + " 0 means no limit")
        @Default("0")
        double maxEpochs,
    @Key(
            "Folder on a local disk that caches datasets of hdfs and s3a; none is cached if absent."
                + " Only the cache's own files, `*.piece` and `*.piece.*.tmp`, are ever deleted in"
                + " it")
        Optional<String> cacheFolder,
    @Key(
            "Most bytes of the cache's files; each process may be a thirty-second of them ahead"
                + " before it counts those of the others")
        @Default("0.1T")
        long cacheBytes) {

  /** What to do about data that cannot be trusted. */
  public enum OnDamage {
    STOP,
    SUBSTITUTE
  }

  /** With the defaults for reading. */
  public DataConfig(
      Map<String, DatasetConfig> datasets, int readAheadSteps, Optional<String> preparedFolder) {
    this(
        datasets,
        readAheadSteps,
        preparedFolder,
        OnDamage.STOP,
        3,
        0,
        Optional.empty(),
        100_000_000_000L);
  }

  /** The same with another folder for prepared datasets. */
  public DataConfig withPreparedFolder(String folder) {
    return new DataConfig(
        datasets,
        readAheadSteps,
        Optional.of(folder),
        onDamage,
        readAttempts,
        maxEpochs,
        cacheFolder,
        cacheBytes);
  }

  public DataConfig {
    datasets = Collections.unmodifiableMap(new LinkedHashMap<>(datasets));
    Checks checks = new Checks();
    checks.require(!datasets.isEmpty(), List.of("datasets"), "needs at least one dataset");
    for (String name : datasets.keySet()) {
      checks.folderName("datasets." + name, name);
    }
    checks.positive("read_ahead_steps", readAheadSteps);
    preparedFolder.ifPresent(folder -> checks.notBlank("prepared_folder", folder));
    checks.positive("read_attempts", readAttempts);
    checks.notNegative("max_epochs", maxEpochs);
    cacheFolder.ifPresent(folder -> checks.notBlank("cache_folder", folder));
    checks.positive("cache_bytes", cacheBytes);
    checks.throwIfAny();
  }
}
