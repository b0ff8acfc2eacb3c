package org.pretrain4j.launch.plan;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.run.RowDeal;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.run.StageConfig;
import org.pretrain4j.trainer.run.TrainingConfig.Precision;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.GradientBuffer;

/**
 * Time, communication, storage and tokens of a run.
 *
 * @param config the run
 * @param gpu the kind of GPU
 * @param gpus how many, each a data-parallel rank
 * @param mfu model FLOPs utilisation that a busy GPU is expected to reach, as a share of its peak
 */
public record RunPlan(RunConfig config, Gpu gpu, long gpus, double mfu) {
  private static final double SECONDS_PER_DAY = 86_400;

  /** Parameters and FLOPs. */
  public ModelCost cost() {
    return ModelCost.of(config.model(), config.training().sequenceLength());
  }

  /** How the rows of a step go over the GPUs. */
  public RowDeal deal() {
    return new RowDeal(config.rowsPerStep(), gpus);
  }

  /** Memory of a GPU. */
  public MemoryPlan memory() {
    return MemoryPlan.of(config.model(), config.training(), config.parallelism(), gpus);
  }

  /** Tokens/s of a GPU that is never idle: mfu times peak, by FLOPs a token. */
  public double busyTokensPerSecondPerGpu() {
    return mfu * gpu.peakFlops() / cost().flopsPerToken();
  }

  /** Seconds of a step: tokens of the GPU with the most rows, by its tokens/s. */
  public double stepSeconds() {
    long tokens = deal().mostRows() * config.training().sequenceLength();
    return tokens / busyTokensPerSecondPerGpu();
  }

  /** Tokens/s of all GPUs together, the idle share included. */
  public double tokensPerSecond() {
    return config.training().globalBatchTokens() / stepSeconds();
  }

  /** Days of training without interruption. */
  public double days() {
    return config.totalSteps() * stepSeconds() / SECONDS_PER_DAY;
  }

  /** The same in hours times GPUs. */
  public double gpuHours() {
    return days() * 24 * gpus;
  }

  /**
   * Bytes that a GPU sends in a step: it passes on (R-1)/R of the fp32 gradients in a
   * reduce-scatter, once a step or, if it keeps only a shard of them, once a micro-batch, and of
   * the weights, in the compute type, in the all-gather.
   */
  public double communicationBytes() {
    double share = (gpus - 1.0) / gpus;
    int type = config.training().precision() == Precision.BF16 ? 2 : 4;
    return share * cost().parameters() * (4.0 * reductions() + type);
  }

  /** How often a step reduces all gradients. */
  public int reductions() {
    int passes = config.training().mostMicroBatches(gpus);
    return shardsGradients() ? passes : 1;
  }

  /** Whether a GPU keeps only its shard of the gradients. */
  public boolean shardsGradients() {
    Buckets buckets =
        Buckets.of(
            ModelLayout.of(config.model()),
            Math.toIntExact(gpus),
            config.parallelism().bucketElements());
    return GradientBuffer.isSharded(
        config.parallelism().gradientSharding(), buckets, config.training().mostMicroBatches(gpus));
  }

  /** Seconds that these bytes take at the given bus bandwidth, if nothing overlaps them. */
  public double communicationSeconds(double bytesPerSecond) {
    return communicationBytes() / bytesPerSecond;
  }

  /** Bus bandwidth of the collectives: that of a node as long as one is enough. */
  public double busBandwidth() {
    return gpus <= Gpu.PER_NODE ? gpu.nodeBusBandwidth() : gpu.clusterBusBandwidth();
  }

  /** Bytes of a checkpoint: fp32 master weights and both moments, 12 a parameter. */
  public long checkpointBytes() {
    return 12 * cost().parameters();
  }

  /** Tokens that the run takes from each dataset, over all stages, in the order of their names. */
  public Map<String, Double> tokensByDataset() {
    Map<String, Double> tokens = new LinkedHashMap<>();
    for (String dataset : config.data().datasets().keySet()) {
      tokens.put(dataset, 0.0);
    }
    for (int i = 0; i < config.stages().size(); i++) {
      StageConfig stage = config.stages().get(i);
      double stageTokens = (double) config.stageSteps(i) * config.training().globalBatchTokens();
      stage.shares().forEach((name, share) -> tokens.merge(name, share * stageTokens, Double::sum));
    }
    tokens.values().removeIf(count -> count == 0);
    return Collections.unmodifiableMap(tokens);
  }
}
