package org.pretrain4j.spark;

import java.io.IOException;
import java.util.Locale;
import java.util.stream.IntStream;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.ManifestMerge;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;

/**
 * Tokenizes a corpus into a dataset folder, a task for each worker. The folder ends as if {@code
 * tokenize --worker i/n} had run for each worker and {@code merge-manifests} after them: a task
 * that is repeated goes on where it stopped, and the manifest is written when all workers are done.
 */
public final class TokenizeOnSpark {
  private static final long BYTES_PER_WORKER = 1L << 30;

  private final JavaSparkContext spark;
  private final Corpus corpus;
  private final TokenizerSource tokenizer;
  private final String folder;
  private final TokenizeOptions options;

  /**
   * @param folder of the dataset, on a file system that all machines share
   * @param options the number of workers is the number of tasks, and decides how the corpus is cut
   * @throws UserException if there are more workers than files
   */
  public TokenizeOnSpark(
      JavaSparkContext spark,
      Corpus corpus,
      TokenizerSource tokenizer,
      String folder,
      TokenizeOptions options) {
    if (options.workers() > corpus.size()) {
      throw new UserException(
          "workers: "
              + options.workers()
              + ", but there are "
              + corpus.size()
              + " input files; use at most as many workers");
    }
    this.spark = spark;
    this.corpus = corpus;
    this.tokenizer = tokenizer;
    this.folder = folder;
    this.options = options;
  }

  /** A worker for each GiB of the corpus, but not more than it has files. */
  public static int defaultWorkers(Corpus corpus) {
    return Math.clamp(corpus.bytes() / BYTES_PER_WORKER + 1, 1, corpus.size());
  }

  /**
   * Runs the job, or what is left of it.
   *
   * @throws UserException as {@link TokenizeJob#run}, or if the folder holds another dataset
   */
  public Manifest run() {
    ClusterStorage cluster = new ClusterStorage(spark);
    Storage storage = cluster.storage();
    Path target = storage.path(folder);
    checkTarget(storage, target);
    Broadcast<Corpus> shared = spark.broadcast(corpus);
    TokenizerSource source = tokenizer;
    TokenizeOptions work = options;
    String where = target.toString();
    int workers = options.workers();
    return TaskFailure.unwrapped(
        () -> {
          spark
              .parallelize(IntStream.range(0, workers).boxed().toList(), workers)
              .foreach(worker -> tokenize(cluster, shared, source, where, work, worker));
          return workers == 1
              ? ManifestFile.read(storage, new Path(target, Manifest.FILE))
              : ManifestMerge.merge(storage, target);
        });
  }

  private static void tokenize(
      ClusterStorage cluster,
      Broadcast<Corpus> corpus,
      TokenizerSource source,
      String folder,
      TokenizeOptions options,
      int worker) {
    Storage storage = cluster.storage();
    try (Tokenizer tokenizer = source.load(storage)) {
      new TokenizeJob(
              storage,
              tokenizer,
              corpus.value().inputs(storage),
              storage.path(folder),
              options.withWorker(worker, options.workers()),
              PreparationListener.NONE)
          .run();
    }
  }

  /** A merge would replace another dataset's manifest; tasks look after their own files. */
  private void checkTarget(Storage storage, Path target) {
    Path manifest = new Path(target, Manifest.FILE);
    String ofWorkers = String.format(Locale.ROOT, "shard-[0-9]{5}-of-%05d-.*", options.workers());
    try {
      if (options.workers() == 1 || !storage.exists(manifest)) {
        return;
      }
    } catch (IOException e) {
      throw Storage.failed("read the dataset", target, e);
    }
    for (ShardEntry shard : ManifestFile.read(storage, manifest).shards()) {
      if (!shard.name().matches(ofWorkers)) {
        throw new UserException(
            "'"
                + target.toUri().getPath()
                + "' already holds a dataset made from other inputs or options; choose another"
                + " folder or delete it");
      }
    }
  }
}
