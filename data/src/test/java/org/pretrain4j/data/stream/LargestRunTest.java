package org.pretrain4j.data.stream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.SequenceWindows;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.shards.ShardedDataset;

/** Manifests of 11.2T tokens without a byte behind them. */
class LargestRunTest {
  private static final long SHARD_TOKENS = 1L << 28;

  @TempDir Path folder;

  private void write(String name, long tokens) throws Exception {
    List<ShardEntry> shards = new ArrayList<>();
    for (int i = 0; i < tokens / SHARD_TOKENS; i++) {
      shards.add(
          new ShardEntry(
              String.format("shard-%05d.arrow", i),
              600_000_000,
              250_000,
              SHARD_TOKENS,
              "0123abcd",
              599_900_000,
              "4567abcd"));
    }
    ManifestFile.write(
        Fixtures.STORAGE,
        Fixtures.hadoop(folder.resolve(name).resolve(Manifest.FILE)),
        new Manifest(Fixtures.LARGE, shards));
  }

  private static long usedBytes() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return runtime.totalMemory() - runtime.freeMemory();
  }

  @Test
  void openingPlanningAndSeekingCostNothingToSpeakOf() throws Exception {
    List<String> names = SmolLm3Plan.datasets();
    long total = 11_200_000_000_000L;
    for (String name : names) {
      write(name, total / names.size());
    }
    long before = usedBytes();
    long started = System.nanoTime();
    BlockCache cache = new BlockCache(1 << 20);
    List<SequenceWindows> datasets = new ArrayList<>();
    for (String name : names) {
      datasets.add(
          ShardedDataset.openManifest(
                  Fixtures.STORAGE, Fixtures.hadoop(folder.resolve(name)), cache)
              .windows(name, 4096, 6));
    }
    TokenStream stream = new TokenStream(SmolLm3Plan.plan(), datasets);
    StagePlan.Place place = stream.plan().place(4_000_000, 17);
    Ledger ledger = stream.ledger(4_000_000);
    double seconds = (System.nanoTime() - started) / 1e9;
    double megabytes = (usedBytes() - before) / 1e6;
    System.out.printf("opened %d datasets in %.2f s, %.0f MB%n", names.size(), seconds, megabytes);
    assertTrue(place.sample() > 0);
    assertEquals(
        4_000_000L * SmolLm3Plan.ROWS * 4096,
        ledger.entries().stream().mapToLong(Ledger.Entry::tokens).sum());
    assertTrue(megabytes < 200, megabytes + " MB");
    // A second on an idle machine; room for a busy one.
    assertTrue(seconds < 10, seconds + " s");
    assertEquals(ledger, stream.ledger(4_000_000));
  }
}
