package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.fused.Passes;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.machine.PeakMemory;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.FusedOperator;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.model.TrainingPass;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.GradientBuffer;
import org.pretrain4j.trainer.sharding.OptimizerShard;
import org.pretrain4j.trainer.sharding.ParameterBuffer;
import org.pretrain4j.trainer.sharding.ShardOperators;

/**
 * Measures whole steps that several ranks share: forward, backward, the reduction of the gradients,
 * the optimizer and the all-gather of the weights, each on its micro-batches.
 *
 * @param shape model and micro-batch
 * @param type what is computed in
 * @param kernels how the pass is computed
 * @param switchedOff fused operators that are composed
 * @param microBatches of a step over all ranks, dealt out as evenly as they go
 * @param bucketElements size of a bucket of gradients
 * @param sharding what a rank keeps of the gradients
 * @param threads of each rank
 * @param repetitions steps that count
 */
public record RankBench(
    Shape shape,
    ScalarType type,
    Kernels kernels,
    Set<FusedOperator> switchedOff,
    int microBatches,
    long bucketElements,
    GradientSharding sharding,
    int threads,
    int repetitions) {
  private static final int WARM_UP = 2;
  private static final long SEED = 6;

  /**
   * Measures on this rank; every rank calls it.
   *
   * @param engine name of what moves the bytes, for the report
   * @return the same report on every rank
   */
  public RankReport run(Collectives collectives, String engine) {
    ComputeThreads.set(threads);
    int ranks = collectives.worldSize();
    int mine = share(collectives.rank(), ranks);
    try (ComputeDevice device = ComputeDevice.host(threads)) {
      NDManager manager = device.manager();
      Buckets buckets = Buckets.of(ModelLayout.of(shape.model()), ranks, bucketElements);
      ParameterBuffer weights = new ParameterBuffer(manager, buckets, type);
      weights.initialize(new ParameterInitializer(shape.model(), SEED));
      int most = share(ranks - 1, ranks);
      ShardOperators operators = ShardOperators.of(device);
      GradientBuffer gradients =
          GradientBuffer.of(
              sharding, manager, buckets, collectives, most, operators, Timeline.host());
      BenchOptimizer optimizer =
          new BenchOptimizer(manager, shape, buckets, gradients, weights, operators, collectives);
      MicroBatch batch = shape.randomBatch(SEED + collectives.rank());
      List<double[]> times = new ArrayList<>();
      try (TrainingPass pass =
          Passes.of(
              kernels,
              switchedOff,
              ActivationCheckpointing.NONE,
              device,
              shape.model(),
              weights,
              type,
              shape.sequenceLength())) {
        for (int i = -WARM_UP; i < repetitions; i++) {
          collectives.barrier();
          long start = System.nanoTime();
          gradients.startStep(mine);
          for (int done = 0; done < mine; done++) {
            pass.run(batch, gradients);
          }
          gradients.finishStep();
          double waited = gradients.takeWaits().seconds();
          pass.clock().drain();
          double update = optimizer.run();
          optimizer.gather();
          waited += optimizer.takeWaited();
          double step = (System.nanoTime() - start) * 1e-9;
          if (i >= 0) {
            times.add(new double[] {step, waited, update});
          }
        }
      }
      long owned = buckets.rangesOf(0).stream().mapToLong(FlatRange::length).sum();
      double stepSeconds = slowest(collectives, times, 0);
      long stepTokens = microBatches * shape.tokens();
      return new RankReport(
          shape.name(),
          engine,
          ranks,
          threads,
          stepTokens,
          stepSeconds,
          stepTokens / stepSeconds,
          slowest(collectives, times, 1),
          slowest(collectives, times, 2),
          OptimizerShard.BYTES_PER_PARAMETER * owned,
          GradientBuffer.bytes(sharding, buckets, most),
          Arrays.stream(collectives.allGatherLong(PeakMemory.bytes())).max().orElseThrow());
    }
  }

  /** Micro-batches of a rank; the last rank has the most. */
  private int share(int rank, int ranks) {
    return microBatches * (rank + 1) / ranks - microBatches * rank / ranks;
  }

  private static double slowest(Collectives collectives, List<double[]> times, int column) {
    double median = StepSamples.median(times.stream().map(row -> row[column]).toList());
    return Arrays.stream(collectives.allGatherDouble(median)).max().orElseThrow();
  }
}
