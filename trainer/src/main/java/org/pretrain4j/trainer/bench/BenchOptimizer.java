package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.util.List;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.optim.AdamW;
import org.pretrain4j.trainer.optim.GradientNorm;
import org.pretrain4j.trainer.optim.ParameterGroups;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.GradientBuffer;
import org.pretrain4j.trainer.sharding.OptimizerShard;
import org.pretrain4j.trainer.sharding.ParameterBuffer;

/** The end of a training step: the norm of the gradient, and the update. */
final class BenchOptimizer {
  private static final double LEARNING_RATE = 1e-4;
  private static final double WEIGHT_DECAY = 0.1;

  private final WorkerPool pool;
  private final GradientBuffer gradients;
  private final ParameterBuffer weights;
  private final OptimizerShard shard;
  private final AdamW adamW;
  private final ParameterGroups groups;
  private final long tokens;
  private long updates;

  BenchOptimizer(
      NDManager manager,
      Shape shape,
      Buckets buckets,
      GradientBuffer gradients,
      ParameterBuffer weights,
      WorkerPool pool) {
    this.pool = pool;
    this.gradients = gradients;
    this.weights = weights;
    this.tokens = shape.tokens();
    this.shard = new OptimizerShard(manager, buckets, 0);
    shard.initialize(new ParameterInitializer(shape.model(), 6));
    this.adamW = new AdamW(0.9, 0.95, 1e-8, pool);
    this.groups =
        ParameterGroups.of(
            ModelLayout.of(shape.model()).parameters(), WEIGHT_DECAY, List.of(".*embed_tokens.*"));
  }

  /** Does it; returns the seconds that it took. */
  double run() {
    long start = System.nanoTime();
    double mean = 1.0 / tokens;
    double[] squares = {shard.sumOfSquares(pool, gradients)};
    double clip = GradientNorm.clippingCoefficient(GradientNorm.norm(squares, mean), 1.0);
    shard.update(adamW, groups, gradients, weights, ++updates, LEARNING_RATE, clip * mean);
    return (System.nanoTime() - start) * 1e-9;
  }
}
