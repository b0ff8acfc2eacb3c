package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.trainer.parallel.GradientSharding;

/** What a rank keeps of the gradients is a matter of memory only. */
final class GradientShardingTest {
  private static final int STEPS = 9;

  @TempDir private Path temp;

  /** Eight rows a step in micro-batches of two; buckets so small that a layer has several. */
  private SmallRun run(GradientSharding sharding, int ranks) {
    SmallRun run =
        new SmallRun(temp.resolve(sharding + "-" + ranks), STEPS, "fp32", ranks, 100)
            .with("bucket_elements: 25000000", "bucket_elements: 3000")
            .with(
                "gradient_sharding: \"auto\"",
                "gradient_sharding: " + sharding.name().toLowerCase(Locale.ROOT));
    assertTrue(run.train().complete());
    return run;
  }

  @ParameterizedTest
  @CsvSource({"4", "6"})
  void withOneMicroBatchAStepShardedGradientsGiveTheBitsOfFullOnes(int ranks) {
    SmallRun full = run(GradientSharding.FULL, ranks);
    SmallRun sharded = run(GradientSharding.SHARDED, ranks);
    assertEquals(full.losses(), sharded.losses());
    assertEquals(full.stateHash(), sharded.stateHash());
    assertEquals(full.stateHash(), run(GradientSharding.AUTO, ranks).stateHash());
  }

  @ParameterizedTest
  @CsvSource({"2", "3"})
  void withSeveralMicroBatchesTheyAgreeToRounding(int ranks) {
    List<Double> full = run(GradientSharding.FULL, ranks).losses();
    List<Double> sharded = run(GradientSharding.SHARDED, ranks).losses();
    for (int step = 0; step < STEPS; step++) {
      assertEquals(full.get(step), sharded.get(step), 2e-5 * full.get(step), "step " + (step + 1));
    }
  }
}
