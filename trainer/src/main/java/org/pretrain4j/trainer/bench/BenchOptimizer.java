package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.util.List;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.GradientNorm;
import org.pretrain4j.trainer.optim.ParameterGroups;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.GradientBuffer;
import org.pretrain4j.trainer.sharding.OptimizerShard;
import org.pretrain4j.trainer.sharding.ParameterBuffer;
import org.pretrain4j.trainer.sharding.ShardOperators;

/** The end of a training step: the norm of the gradient, the update, the all-gather. */
final class BenchOptimizer {
  private static final double LEARNING_RATE = 1e-4;
  private static final double WEIGHT_DECAY = 0.1;

  private final GradientBuffer gradients;
  private final ParameterBuffer weights;
  private final Collectives collectives;
  private final OptimizerShard shard;
  private final AdamWSettings adamW = new AdamWSettings(0.9, 0.95, 1e-8);
  private final ParameterGroups groups;
  private final long tokens;
  private Pending weightsThere = Pending.COMPLETE;
  private long updates;
  private double waited;

  BenchOptimizer(
      NDManager manager,
      Shape shape,
      Buckets buckets,
      GradientBuffer gradients,
      ParameterBuffer weights,
      ShardOperators operators,
      Collectives collectives) {
    this.gradients = gradients;
    this.weights = weights;
    this.collectives = collectives;
    this.tokens = shape.tokensOfStep();
    this.shard = new OptimizerShard(manager, buckets, collectives.rank(), operators);
    shard.initialize(new ParameterInitializer(shape.model(), 6));
    this.groups =
        ParameterGroups.of(
            ModelLayout.of(shape.model()).parameters(), WEIGHT_DECAY, List.of(".*embed_tokens.*"));
  }

  /**
   * Norm and update, which begins to give every rank all weights; returns the seconds that they
   * took without waiting.
   */
  double run() {
    long start = System.nanoTime();
    double mean = 1.0 / tokens;
    double mine = shard.sumOfSquares(gradients);
    long communication = System.nanoTime();
    double[] squares = collectives.allGatherDouble(mine);
    double wait = (System.nanoTime() - communication) * 1e-9;
    double clip = GradientNorm.clippingCoefficient(GradientNorm.norm(squares, mean), 1.0);
    weightsThere =
        shard.update(
            adamW, groups, gradients, weights, collectives, ++updates, LEARNING_RATE, clip * mean);
    waited += wait;
    return (System.nanoTime() - start) * 1e-9 - wait;
  }

  /** Waits until every rank has all weights. */
  void gather() {
    long start = System.nanoTime();
    weightsThere.await();
    waited += (System.nanoTime() - start) * 1e-9;
  }

  /** Seconds that this rank waited for the others since the last call. */
  double takeWaited() {
    double seconds = waited;
    waited = 0;
    return seconds;
  }
}
