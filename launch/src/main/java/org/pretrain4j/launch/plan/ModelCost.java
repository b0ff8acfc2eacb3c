package org.pretrain4j.launch.plan;

import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelFlops;

/**
 * What a token costs.
 *
 * @param parameters all parameters, a tied table counted once
 * @param flopsPerToken of forward and backward together
 */
public record ModelCost(long parameters, double flopsPerToken) {

  /** The FLOPs are those of {@link ModelFlops}: 22.07 GFLOP for SmolLM3-3B at 4,096 tokens. */
  public static ModelCost of(ModelConfig model, int sequenceLength) {
    return new ModelCost(model.parameterCount(), ModelFlops.perToken(model, sequenceLength));
  }
}
