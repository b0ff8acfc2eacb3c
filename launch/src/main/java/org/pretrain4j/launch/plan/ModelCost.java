package org.pretrain4j.launch.plan;

import org.pretrain4j.trainer.model.ModelConfig;

/**
 * What a token costs.
 *
 * @param parameters all parameters, a tied table counted once
 * @param flopsPerToken of forward and backward together
 */
public record ModelCost(long parameters, double flopsPerToken) {

  /**
   * The usual convention of model FLOPs, that of nanotron and of PaLM's appendix B:
   *
   * <pre>6 N + 12 L A s</pre>
   *
   * with N the parameters that take part in matrix products (the table as output head, not as a
   * look-up), L the layers, A the width of all query heads together, and s the sequence length: the
   * full square of attention is counted, without regard to the causal mask or to documents. 22.07
   * GFLOP for SmolLM3-3B at 4,096 tokens.
   */
  public static ModelCost of(ModelConfig model, int sequenceLength) {
    long parameters = model.parameterCount();
    long lookedUp =
        model.tieWordEmbeddings()
            ? 0
            : Math.multiplyExact((long) model.vocabSize(), model.hiddenSize());
    double attention =
        12.0
            * model.numHiddenLayers()
            * model.numAttentionHeads()
            * model.headDim()
            * sequenceLength;
    return new ModelCost(parameters, 6.0 * (parameters - lookedUp) + attention);
  }
}
