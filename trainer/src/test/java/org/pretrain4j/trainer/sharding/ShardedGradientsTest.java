package org.pretrain4j.trainer.sharding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.parallel.GradientSharding;

/** What gradients take of a rank's memory. */
final class ShardedGradientsTest {
  /** SmolLM2-135M: 28.3 million parameters of the table, 3.5 of each of 30 layers. */
  private static final ModelConfig MODEL =
      new ModelConfig(49_152, 576, 1536, 30, 9, 3, 0, 50_000, 4, 1e-6, 0.02, 8192, true);

  private static long bytes(GradientSharding sharding, int ranks, long bucketElements) {
    Buckets buckets = Buckets.of(ModelLayout.of(MODEL), ranks, bucketElements);
    return GradientBuffer.bytes(sharding, buckets, 1);
  }

  @Test
  void fullGradientsAreFourBytesAParameter() {
    long parameters = MODEL.parameterCount();
    assertEquals(4 * parameters, bytes(GradientSharding.FULL, 8, 25_000_000), 0.001 * parameters);
  }

  @Test
  void shardedOnesAreAShardTheTableAndTwoBuckets() {
    long parameters = MODEL.parameterCount();
    long layer = (parameters - 49_152 * 576 - 576) / 30;
    long expected = 4 * (parameters / 8 + 49_152 * 576 + 2 * layer);
    assertEquals(expected, bytes(GradientSharding.SHARDED, 8, 4_000_000), 0.01 * expected);
    assertEquals(
        bytes(GradientSharding.SHARDED, 8, 4_000_000), bytes(GradientSharding.AUTO, 8, 4_000_000));
    assertTrue(expected < 4 * parameters / 2, "less than half of full gradients");
  }

  @Test
  void autoShardsWhereThatTakesLessMemoryAndCostsNothing() {
    Buckets many = Buckets.of(ModelLayout.of(MODEL), 8, 4_000_000);
    assertTrue(GradientBuffer.isSharded(GradientSharding.AUTO, many, 1));
    assertFalse(GradientBuffer.isSharded(GradientSharding.AUTO, many, 2), "it would send twice");
    assertTrue(GradientBuffer.isSharded(GradientSharding.SHARDED, many, 2));
    // Half of the gradients, the table and two buckets of seven layers are more than all of them.
    Buckets two = Buckets.of(ModelLayout.of(MODEL), 2, 25_000_000);
    assertFalse(GradientBuffer.isSharded(GradientSharding.AUTO, two, 1));
  }

  @Test
  void oneRankHasNothingToShare() {
    assertEquals(
        bytes(GradientSharding.FULL, 1, 25_000_000),
        bytes(GradientSharding.SHARDED, 1, 25_000_000));
  }
}
