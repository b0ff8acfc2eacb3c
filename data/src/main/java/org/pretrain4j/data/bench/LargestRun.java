package org.pretrain4j.data.bench;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.SequenceWindows;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.shards.TokenizerIdentity;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.stream.Stage;
import org.pretrain4j.data.stream.StagePlan;
import org.pretrain4j.data.stream.TokenStream;

/**
 * What a run of SmolLM3's size costs before its first step: manifests of 11.2T tokens in 56
 * sources, without a byte behind them, mixed in three stages of 2.36M tokens a step.
 */
public final class LargestRun {
  public static final long TOKENS = 11_200_000_000_000L;
  public static final int SOURCES = 56;
  public static final long STEP = 4_000_000;

  private static final long SHARD_TOKENS = 1L << 28;
  private static final int SEQUENCE_LENGTH = 4096;
  private static final int ROWS_PER_STEP = 576;
  private static final long[] STAGE_STEPS = {3_450_000, 748_000, 522_000};
  private static final TokenizerIdentity TOKENIZER =
      new TokenizerIdentity("sha256:" + "0".repeat(64), 128_256, 128_001);

  private final Storage storage;
  private final Path folder;

  /**
   * @param seconds to open all manifests, plan all stages and find a row of {@link #STEP}, the
   *     ledger before it and that of the whole run
   * @param liveBytes of the heap that it added and a collection left
   * @param shards in all manifests
   * @param steps of all stages
   */
  public record Cost(double seconds, long liveBytes, int shards, long steps) {}

  /**
   * @param folder for the manifests
   */
  public LargestRun(Storage storage, Path folder) {
    this.storage = storage;
    this.folder = folder;
  }

  /** Writes the manifests and measures the best of three starts. */
  public Cost measure() throws IOException {
    int shards = Math.toIntExact(TOKENS / SOURCES / SHARD_TOKENS);
    for (int source = 0; source < SOURCES; source++) {
      write(source, shards);
    }
    Cost best = start(shards);
    for (int i = 0; i < 2; i++) {
      Cost next = start(shards);
      best = next.seconds() < best.seconds() ? next : best;
    }
    storage.delete(folder);
    return best;
  }

  private static String name(int source) {
    return "source-" + source;
  }

  private void write(int source, int shards) throws IOException {
    List<ShardEntry> entries = new ArrayList<>();
    for (int i = 0; i < shards; i++) {
      entries.add(
          new ShardEntry(
              String.format(Locale.ROOT, "shard-%05d.arrow", i),
              600_000_000,
              250_000,
              SHARD_TOKENS,
              "0123abcd",
              599_900_000,
              "4567abcd"));
    }
    ManifestFile.write(
        storage,
        new Path(new Path(folder, name(source)), Manifest.FILE),
        new Manifest(TOKENIZER, entries));
  }

  private Cost start(int shards) {
    long before = liveBytes();
    long started = System.nanoTime();
    BlockCache cache = new BlockCache(BlockCache.DEFAULT_BYTES);
    List<SequenceWindows> datasets = new ArrayList<>();
    for (int source = 0; source < SOURCES; source++) {
      datasets.add(
          ShardedDataset.openManifest(storage, new Path(folder, name(source)), cache)
              .windows(name(source), SEQUENCE_LENGTH, 6));
    }
    TokenStream stream = new TokenStream(plan(), datasets);
    StagePlan.Place place = stream.plan().place(STEP, ROWS_PER_STEP - 1);
    long read = stream.ledger(STEP).entries().stream().mapToLong(entry -> entry.samples()).sum();
    long steps = stream.plan().steps();
    long all = stream.ledger(steps).entries().stream().mapToLong(entry -> entry.samples()).sum();
    double seconds = (System.nanoTime() - started) / 1e9;
    if (read != STEP * ROWS_PER_STEP || all != steps * ROWS_PER_STEP || place.sample() < 1) {
      throw new IllegalStateException(read + " and " + all + " samples, " + place);
    }
    long live = liveBytes() - before;
    return new Cost(seconds, live, SOURCES * shards, steps);
  }

  /** Weights that differ by three orders of magnitude and change from stage to stage. */
  private static StagePlan plan() {
    List<String> names = new ArrayList<>();
    for (int source = 0; source < SOURCES; source++) {
      names.add(name(source));
    }
    List<Stage> stages = new ArrayList<>();
    for (int stage = 0; stage < STAGE_STEPS.length; stage++) {
      Map<String, Double> mixture = new LinkedHashMap<>();
      for (int source = 0; source < SOURCES; source++) {
        int rank = 1 + (source + 11 * stage) % SOURCES;
        mixture.put(name(source), Math.pow(rank, -1.7));
      }
      stages.add(new Stage("stage" + (stage + 1), STAGE_STEPS[stage], mixture));
    }
    return new StagePlan(names, ROWS_PER_STEP, stages);
  }

  private static long liveBytes() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return runtime.totalMemory() - runtime.freeMemory();
  }
}
