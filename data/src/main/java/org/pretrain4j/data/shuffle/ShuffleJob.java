package org.pretrain4j.data.shuffle;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.fs.FileStatus;
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
 * <p>Each sequence is dealt to a random bucket. The source is read once, in stretches that fit in
 * memory, and written to temporary files that are sorted by bucket; these are merged until few
 * enough are left to be open side by side. Then one bucket after the other is read from them,
 * shuffled in memory and written as a shard. As each sequence's bucket is independent and uniform
 * and so is the order inside a bucket, every order of all sequences is equally likely.
 *
 * <p>Memory is bounded by the size of a shard, open files by a constant, whatever the size of the
 * dataset; a file is read from its beginning to its end.
 *
 * <p>A killed job that is run again keeps its finished files and ends with the same bytes.
 */
public final class ShuffleJob {
  /** What the job remembers in the folder of its result. */
  public static final String JOURNAL = "shuffle.json";

  private static final String TEMPORARY = "_shuffle";

  // Open files, each with half a megabyte of buffer: far below the usual limit of 1024 files.
  private static final int FAN_IN = 256;

  private final Storage storage;
  private final Path source;
  private final Path target;
  private final ShuffleOptions options;
  private final PreparationListener listener;
  private final int fanIn;

  public ShuffleJob(
      Storage storage,
      Path source,
      Path target,
      ShuffleOptions options,
      PreparationListener listener) {
    this(storage, source, target, options, listener, FAN_IN);
  }

  /**
   * @param fanIn temporary files that are open at once at most, 2 or more; the result does not
   *     depend on it
   */
  ShuffleJob(
      Storage storage,
      Path source,
      Path target,
      ShuffleOptions options,
      PreparationListener listener,
      int fanIn) {
    if (fanIn < 2) {
      throw new IllegalArgumentException("fan-in " + fanIn);
    }
    this.fanIn = fanIn;
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
        deleteOldRuns(runs(job));
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

  private Path runs(String job) {
    String key = Long.toHexString(SplitMix64.key(job + "|" + fanIn));
    return new Path(target, TEMPORARY + "/" + key);
  }

  /** Those of other options, and what a killed writer left of this job's. */
  private void deleteOldRuns(Path own) throws IOException {
    if (!storage.exists(own.getParent())) {
      return;
    }
    for (FileStatus child : storage.list(own.getParent())) {
      if (child.getPath().getName().equals(own.getName())) {
        storage.deleteTemporaries(own, "run-");
      } else {
        storage.delete(child.getPath());
      }
    }
  }

  private JobJournal shuffle(ShardedDataset dataset, ShufflePlan plan, JobJournal journal)
      throws IOException {
    JobJournal state = journal;
    if (state.shards().size() == plan.buckets()) {
      return state;
    }
    Runs runs = new Runs(storage, runs(journal.job()), plan, fanIn);
    int done = state.shards().size();
    long bytes = dataset.manifest().bytes();
    ShuffleProgress progress =
        new ShuffleProgress(listener, bytes, plan, runs.passes(), runs.moved(), done);
    SequenceCursor cursor = dataset.cursor(options.sequenceLength());
    List<Path> last =
        runs.write((number, writer) -> deal(cursor, number, plan, writer, progress), progress);
    try (Runs.OpenRuns dealt = runs.open(last, done)) {
      for (int bucket = done; bucket < plan.buckets(); bucket++) {
        List<Sequence> sequences = dealt.next();
        ShardEntry shard =
            plan.writeShard(storage, target, dataset.manifest().tokenizer(), bucket, sequences);
        state = state.with(shard, bucket + 1, 0);
        state.write(storage, target, JOURNAL);
        progress.wrote(bucket + 1, sequences.size(), shard.tokens());
      }
    }
    return state;
  }

  /** Sorts a stretch of the source by bucket. */
  private static void deal(
      SequenceCursor cursor,
      long stretch,
      ShufflePlan plan,
      RunWriter writer,
      ShuffleProgress progress)
      throws IOException {
    long from = stretch * plan.perShard();
    int count = (int) Math.min(plan.perShard(), cursor.size() - from);
    byte[][] sequences = new byte[count][];
    // Bucket in the upper half, place in the lower: sorting keeps the order of the source.
    long[] order = new long[count];
    for (int i = 0; i < count; i++) {
      sequences[i] = SequenceCodec.encode(cursor.read(from + i));
      order[i] = (long) plan.bucketOf(from + i) << 32 | i;
      progress.moved();
    }
    Arrays.sort(order);
    for (long next : order) {
      writer.add((int) (next >>> 32), sequences[(int) next]);
    }
  }
}
