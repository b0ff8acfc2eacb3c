package org.pretrain4j.launch.plan;

import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.data.DatasetConfig;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.trainer.run.RunConfig;

/** What the datasets of a run hold, as far as their manifests can be read from here. */
public final class TokenSupply {
  private static final Logger LOG = LogManager.getLogger(TokenSupply.class);

  /** A plan is often made on a machine that does not reach the cluster's storage. */
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private TokenSupply() {}

  /**
   * Reads the manifests, all at once, and gives up on those that do not come in time.
   *
   * @return tokens of each dataset of the configuration; empty for one whose manifest is not there,
   *     cannot be read, or cannot be reached
   */
  public static Map<String, OptionalLong> read(RunConfig config) {
    return read(config, PATIENCE);
  }

  static Map<String, OptionalLong> read(RunConfig config, Duration patience) {
    Storage storage = new Storage(new Configuration());
    Map<String, DatasetConfig> datasets = config.data().datasets();
    Map<String, Long> found = new ConcurrentHashMap<>();
    CountDownLatch left = new CountDownLatch(datasets.size());
    datasets.forEach(
        (name, dataset) ->
            Thread.ofVirtual()
                .start(
                    () -> {
                      try {
                        tokens(storage, folder(config, name, dataset))
                            .ifPresent(tokens -> found.put(name, tokens));
                      } catch (IOException | RuntimeException e) {
                        LOG.debug("the manifest of {} cannot be read", name, e);
                      } finally {
                        left.countDown();
                      }
                    }));
    try {
      if (!left.await(patience.toMillis(), TimeUnit.MILLISECONDS)) {
        LOG.debug("{} manifests did not come in time", left.getCount());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    Map<String, OptionalLong> supply = new LinkedHashMap<>();
    for (String name : datasets.keySet()) {
      Long tokens = found.get(name);
      supply.put(name, tokens == null ? OptionalLong.empty() : OptionalLong.of(tokens));
    }
    return supply;
  }

  private static Path folder(RunConfig config, String name, DatasetConfig dataset) {
    return dataset
        .shards()
        .map(Path::new)
        .orElseGet(() -> new Path(config.data().preparedFolder().orElseThrow(), name));
  }

  private static OptionalLong tokens(Storage storage, Path folder) throws IOException {
    Path file = new Path(storage.path(folder.toString()), Manifest.FILE);
    return storage.exists(file)
        ? OptionalLong.of(ManifestFile.read(storage, file).tokens())
        : OptionalLong.empty();
  }
}
