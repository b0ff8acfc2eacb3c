package org.pretrain4j.data.shuffle;

import java.io.IOException;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.random.SplitMix64;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.Sequence;
import org.pretrain4j.data.shards.SequenceCursor;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.storage.FolderLock;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.JobJournal;
import org.pretrain4j.data.tokens.PreparationListener;

/**
 * Writes the sequences of a dataset in random order.
 *
 * <p>Two passes. The first reads the dataset once, in chunks that fit in memory; each sequence is
 * dealt to a random bucket, and a chunk is written to a temporary file sorted by bucket. The second
 * reads one bucket after the other from all chunks, shuffles it in memory and writes it as a shard.
 * As each sequence's bucket is independent and uniform and so is the order inside a bucket, every
 * order of all sequences is equally likely.
 *
 * <p>A killed job that is run again keeps its finished chunks and shards and ends with the same
 * bytes.
 */
public final class ShuffleJob {
  /** What the job remembers in the folder of its result. */
  public static final String JOURNAL = "shuffle.json";

  private static final String TEMPORARY = "_shuffle";

  private final Storage storage;
  private final Path source;
  private final Path target;
  private final ShuffleOptions options;
  private final PreparationListener listener;

  public ShuffleJob(
      Storage storage,
      Path source,
      Path target,
      ShuffleOptions options,
      PreparationListener listener) {
    this.storage = storage;
    this.source = source;
    this.target = target;
    this.options = options;
    this.listener = listener;
  }

  /**
   * Runs the job, or what is left of it; returns at once if it is complete.
   *
   * @throws UserException if the source is no dataset, is damaged or too small, or writing fails
   */
  public Manifest run() {
    return run(this::shuffle);
  }

  /**
   * Like {@link #run()}, but lets another engine move the sequences.
   *
   * @throws UserException as {@link #run()}
   */
  public Manifest run(ShuffleEngine engine) {
    try (FolderLock lock = storage.lock(target, "shuffle")) {
      ShardedDataset dataset =
          ShardedDataset.openManifest(storage, source, new BlockCache(BlockCache.DEFAULT_BYTES));
      if (dataset.manifest().sequenceLength() != 0) {
        throw new UserException(
            source.toUri().getPath() + ": is shuffled already; shuffle the dataset it came from");
      }
      String job = "shuffle-1|" + dataset.manifest().checksum() + "|" + options;
      Path manifestFile = new Path(target, Manifest.FILE);
      JobJournal journal = JobJournal.read(storage, target, JOURNAL, job, listener);
      if (storage.exists(manifestFile)) {
        if (!job.equals(JobJournal.recordedJob(storage, new Path(target, JOURNAL)))) {
          throw new UserException(
              "'"
                  + target.toUri().getPath()
                  + "' already holds another dataset; choose another folder or delete it");
        }
        storage.delete(new Path(target, TEMPORARY));
        return ManifestFile.read(storage, manifestFile);
      }
      if (lock.exclusive()) {
        storage.deleteTemporaries(target, "shard-", JOURNAL, Manifest.FILE);
      }
      ShufflePlan plan = new ShufflePlan(options, dataset.cursor(options.sequenceLength()).size());
      JobJournal done = engine.shuffle(dataset, plan, journal);
      Manifest manifest =
          new Manifest(dataset.manifest().tokenizer(), done.shards(), options.sequenceLength());
      ManifestFile.write(storage, manifestFile, manifest);
      storage.delete(new Path(target, TEMPORARY));
      return manifest;
    } catch (IOException e) {
      throw Storage.failed("write the shuffled dataset", target, e);
    }
  }

  private JobJournal shuffle(ShardedDataset dataset, ShufflePlan plan, JobJournal journal)
      throws IOException {
    String jobKey = Long.toHexString(SplitMix64.key(journal.job()));
    Path chunks = new Path(target, TEMPORARY + "/" + jobKey);
    JobJournal state = journal;
    if (state.shards().size() < plan.buckets()) {
      ChunkFiles files =
          new ChunkFiles(storage, chunks, options.sequenceLength() + 1, plan.buckets());
      storage.deleteTemporaries(chunks, "chunk-");
      ShuffleProgress progress =
          new ShuffleProgress(
              listener, dataset.manifest().bytes(), plan, files.count(), state.shards().size());
      int count = scatter(dataset.cursor(options.sequenceLength()), files, plan, progress);
      for (int bucket = state.shards().size(); bucket < plan.buckets(); bucket++) {
        ShardEntry shard =
            plan.writeShard(
                storage, target, dataset.manifest().tokenizer(), bucket, files.read(count, bucket));
        state = state.with(shard, bucket + 1, 0);
        state.write(storage, target, JOURNAL);
        progress.gathered(bucket + 1, shard.tokens());
      }
    }
    return state;
  }

  /** First pass; returns the number of chunks. */
  private int scatter(
      SequenceCursor cursor, ChunkFiles files, ShufflePlan plan, ShuffleProgress progress)
      throws IOException {
    long perChunk = plan.perShard();
    int chunk = 0;
    for (long from = 0; from < cursor.size(); from += perChunk, chunk++) {
      if (files.exists(chunk)) {
        continue;
      }
      int count = (int) Math.min(perChunk, cursor.size() - from);
      Sequence[] sequences = new Sequence[count];
      int[] bucketOf = new int[count];
      for (int i = 0; i < count; i++) {
        sequences[i] = cursor.read(from + i);
        bucketOf[i] = plan.bucketOf(from + i);
        progress.scattered(from + i);
      }
      files.write(chunk, sequences, bucketOf);
    }
    return chunk;
  }
}
