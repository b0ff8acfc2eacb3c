package org.pretrain4j.data;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ReadPolicy;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;

/**
 * Makes a configured dataset ready for reading: shards are opened, text and synthetic documents are
 * tokenized first. What was tokenized once for a run stays its data, even if the text changes
 * later; then a warning says so.
 *
 * <p>Several processes may prepare one folder at the same time: on a local file system one works
 * and the others wait, elsewhere they write the same bytes.
 */
public final class DatasetPreparation {
  private final Storage storage;
  private final Tokenizer tokenizer;
  private final BlockCache cache;
  private final ReadPolicy policy;
  private final PreparationListener listener;

  /** Datasets that stop the run when a shard is damaged. */
  public DatasetPreparation(
      Storage storage, Tokenizer tokenizer, BlockCache cache, PreparationListener listener) {
    this(storage, tokenizer, cache, ReadPolicy.stop(), listener);
  }

  public DatasetPreparation(
      Storage storage,
      Tokenizer tokenizer,
      BlockCache cache,
      ReadPolicy policy,
      PreparationListener listener) {
    this.storage = storage;
    this.tokenizer = tokenizer;
    this.cache = cache;
    this.policy = policy;
    this.listener = listener;
  }

  /**
   * @param seed of generated documents
   * @param preparedFolder holds a folder of shards for each tokenized dataset, usually {@code <run
   *     folder>/data}
   * @throws UserException if inputs are missing or malformed, or shards do not fit the tokenizer
   */
  public ShardedDataset prepare(String name, DatasetConfig config, long seed, Path preparedFolder) {
    if (config.shards().isPresent()) {
      return open(storage.path(config.shards().get()));
    }
    Path folder = new Path(preparedFolder, name);
    try {
      if (storage.exists(new Path(folder, Manifest.FILE))) {
        warnIfChanged(name, config, seed, folder);
      } else {
        job(DatasetInputs.find(storage, config, seed), folder).run();
      }
    } catch (IOException e) {
      throw Storage.failed("prepare dataset '" + name + "' in", folder, e);
    } catch (UserException e) {
      throw new UserException("dataset '" + name + "': " + e.getMessage(), e);
    }
    return open(folder);
  }

  private ShardedDataset open(Path folder) {
    return ShardedDataset.open(storage, folder, tokenizer.identity(), cache, policy);
  }

  private TokenizeJob job(List<DocumentInput> inputs, Path folder) {
    return new TokenizeJob(
        storage, tokenizer, inputs, folder, TokenizeOptions.defaults(), listener);
  }

  private void warnIfChanged(String name, DatasetConfig config, long seed, Path folder)
      throws IOException {
    Optional<String> problem;
    try {
      problem =
          job(DatasetInputs.find(storage, config, seed), folder).isResult()
              ? Optional.empty()
              : Optional.of("its inputs changed since");
    } catch (UserException e) {
      problem = Optional.of("its inputs cannot be read any more (" + e.getMessage() + ")");
    }
    problem.ifPresent(
        what ->
            listener.warning(
                "dataset '"
                    + name
                    + "': "
                    + what
                    + "; the run goes on with what was tokenized into "
                    + folder.toUri().getPath()));
  }
}
