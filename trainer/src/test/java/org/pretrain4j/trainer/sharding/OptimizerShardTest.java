package org.pretrain4j.trainer.sharding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.ParameterGroups;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.parallel.PassingCollectives;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.SoloCollectives;

final class OptimizerShardTest {
  private static final ModelConfig MODEL =
      new ModelConfig(320, 32, 48, 2, 4, 2, 0, 50_000, 4, 1e-6, 0.02, 64, true);

  /** Notes at the start of each all-gather how many buckets have values already. */
  private static final class Watching extends PassingCollectives {
    private final List<FlatBuffer> buckets = new ArrayList<>();
    private final List<Integer> updated = new ArrayList<>();
    private int awaited;

    Watching() {
      super(new SoloCollectives());
    }

    @Override
    public Pending allGather(FlatBuffer input, FlatBuffer output) {
      updated.add((int) buckets.stream().filter(Watching::hasValues).count());
      return () -> awaited++;
    }

    private static boolean hasValues(FlatBuffer bucket) {
      for (byte value : bucket.segment().toArray(java.lang.foreign.ValueLayout.JAVA_BYTE)) {
        if (value != 0) {
          return true;
        }
      }
      return false;
    }
  }

  @Test
  void aBucketTravelsWhileThoseAfterItAreStillUpdated() {
    ModelLayout layout = ModelLayout.of(MODEL);
    Buckets buckets = Buckets.of(layout, 1, 4096);
    int count = buckets.buckets().size();
    assertTrue(count > 3, "too few buckets: " + count);
    Watching collectives = new Watching();
    try (NDManager manager = NDManager.newBaseManager("PyTorch");
        WorkerPool pool = new WorkerPool(1)) {
      ShardOperators operators = new HostShardOperators(pool);
      OptimizerShard shard = new OptimizerShard(manager, buckets, 0, operators);
      shard.initialize(new ParameterInitializer(MODEL, 6));
      // Of zeros: a bucket has values once it is updated.
      ParameterBuffer weights = new ParameterBuffer(manager, buckets, ScalarType.BFLOAT16);
      buckets.buckets().forEach(bucket -> collectives.buckets.add(weights.bucket(bucket)));
      GradientBuffer gradients =
          GradientBuffer.of(
              GradientSharding.FULL, manager, buckets, collectives, 1, operators, Timeline.host());
      Pending there =
          shard.update(
              new AdamWSettings(0.9, 0.95, 1e-8),
              ParameterGroups.of(layout.parameters(), 0.1, List.of()),
              gradients,
              weights,
              collectives,
              1,
              1e-3,
              1.0);
      List<Integer> oneByOne = new ArrayList<>();
      for (int bucket = 1; bucket <= count; bucket++) {
        oneByOne.add(bucket);
      }
      assertEquals(oneByOne, collectives.updated);
      assertEquals(0, collectives.awaited, "an all-gather was waited for in between");
      there.await();
      assertEquals(count, collectives.awaited);
    }
  }
}
