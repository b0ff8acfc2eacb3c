package org.pretrain4j.data.stream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.bench.LargestRun;

/** Manifests of 11.2T tokens without a byte behind them. */
class LargestRunTest {
  @TempDir Path folder;

  /** {@code bench data} measures the time; on a busy machine only a generous bound holds. */
  @Test
  void openingPlanningAndSeekingTakeLittleTimeAndMemory() throws Exception {
    Path manifests = folder.resolve("manifests");
    LargestRun.Cost cost = new LargestRun(Fixtures.STORAGE, Fixtures.hadoop(manifests)).measure();
    System.out.println(cost);
    assertEquals(56 * 745, cost.shards());
    assertEquals(4_720_000, cost.steps());
    assertTrue(cost.seconds() < 5, cost.seconds() + " seconds");
    assertTrue(cost.liveBytes() < 50_000_000, cost.liveBytes() + " bytes");
    assertTrue(Files.notExists(manifests), "the manifests are left");
  }

  /** The published mixtures: what comes before a step is a sum, whatever the step. */
  @Test
  void thePublishedPlanCountsTheSameByLedgerAndByRows() {
    StagePlan plan = SmolLm3Plan.plan();
    for (long step : new long[] {1_000, 3_450_000, 4_000_000, 4_719_999}) {
      long[] before = plan.samples(step);
      long[] after = plan.samples(step + 1);
      long[] rows = new long[before.length];
      for (int row = 0; row < SmolLm3Plan.ROWS; row++) {
        StagePlan.Place place = plan.place(step, row);
        assertEquals(before[place.dataset()] + rows[place.dataset()], place.sample());
        rows[place.dataset()]++;
      }
      for (int i = 0; i < rows.length; i++) {
        assertEquals(after[i] - before[i], rows[i], "dataset " + i + " in step " + step);
      }
    }
  }
}
