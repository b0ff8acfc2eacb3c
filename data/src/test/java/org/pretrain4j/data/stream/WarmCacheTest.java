package org.pretrain4j.data.stream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.FlakyFileSystem;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.ReadPolicy;
import org.pretrain4j.data.shards.ShardException;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.storage.LocalCache;

/** The step loop over a remote source that hangs or fails once the local cache is warm. */
class WarmCacheTest {
  private static final int STEPS = 40;
  private static final int ROWS = 4;

  @TempDir Path folder;

  @BeforeEach
  void dataset() throws Exception {
    Random random = new Random(3);
    List<List<int[]>> shards = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      shards.add(Fixtures.documents(random, Fixtures.SMALL, 60, 40));
    }
    Fixtures.write(folder.resolve("data"), Fixtures.SMALL, 200, shards);
    FlakyFileSystem.FAILURES.set(0);
  }

  @AfterEach
  void mend() {
    FlakyFileSystem.FAILURES.set(0);
  }

  private ShardedDataset dataset(LocalCache cache) {
    ReadPolicy policy = new ReadPolicy(1, Duration.ZERO, Optional.empty(), Optional.of(cache));
    // A block cache that keeps nothing: all reads go to the local cache.
    return ShardedDataset.open(
        FlakyFileSystem.storage(),
        new org.apache.hadoop.fs.Path("flaky://" + folder.resolve("data")),
        Fixtures.SMALL,
        new BlockCache(1),
        policy);
  }

  private TokenStream stream(LocalCache cache) {
    StagePlan plan =
        new StagePlan(List.of("web"), ROWS, List.of(new Stage("one", STEPS, Map.of("web", 1.0))));
    return new TokenStream(plan, List.of(dataset(cache).windows("web", 31, 1)));
  }

  private static List<String> read(TokenStream stream) throws Exception {
    List<String> rows = new ArrayList<>();
    try (ReadAhead reader = new ReadAhead(stream, 0, 0, ROWS, 3, 2)) {
      for (int step = 0; step < STEPS; step++) {
        reader.next().forEach(row -> rows.add(Arrays.toString(row.tokens())));
      }
    }
    return rows;
  }

  @Test
  void aWarmCacheNeverWaitsForTheSource() throws Exception {
    List<String> cold;
    try (LocalCache cache = new LocalCache(folder.resolve("cache"), 1 << 20)) {
      cold = read(stream(cache));
      // Every block, as those are fetched ahead too that the steps do not come to.
      dataset(cache).verify();
    }
    // Nothing is on its way any more, and the next process finds the folder warm.
    try (LocalCache cache = new LocalCache(folder.resolve("cache"), 1 << 20)) {
      TokenStream warm = stream(cache);
      FlakyFileSystem.FAILURES.set(Integer.MAX_VALUE);
      assertEquals(cold, read(warm));
      assertEquals(Integer.MAX_VALUE, FlakyFileSystem.FAILURES.get(), "the source was asked");
    }
  }

  @Test
  void aCacheThatIsTooSmallStaysWithinItsBytesAndAsksTheSourceAgain() throws Exception {
    try (LocalCache cache = new LocalCache(folder.resolve("cache"), 4000)) {
      List<String> first = read(stream(cache));
      assertEquals(first, read(stream(cache)));
      assertTrue(cache.bytes() <= 4000, cache.bytes() + " bytes");
      TokenStream again = stream(cache);
      FlakyFileSystem.FAILURES.set(Integer.MAX_VALUE);
      ShardException named = assertThrows(ShardException.class, () -> read(again));
      assertTrue(named.isUnreachable() && named.getMessage().contains("shard-"), named.toString());
    }
  }
}
