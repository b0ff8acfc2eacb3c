package org.pretrain4j.trainer.model;

/** Floating point operations of training, by the convention that published figures use. */
public final class ModelFlops {
  /** The formula, for reports. */
  public static final String FORMULA =
      "flops/token = 6 * parameters + 12 * layers * heads * head_dim * sequence (embedding counted"
          + " once when tied; attention not halved for causality)";

  private ModelFlops() {}

  /**
   * Operations of the forward and backward pass for one token (Chowdhery et al., 2022, appendix B):
   * 6 for each parameter of a matrix product, 12 for each pair of a query and a key's dimension.
   *
   * @param sequenceLength keys that a token is counted with
   */
  public static double perToken(ModelConfig config, double sequenceLength) {
    double embeddingLookup =
        config.tieWordEmbeddings() ? 0 : (double) config.vocabSize() * config.hiddenSize();
    double width = (double) config.numAttentionHeads() * config.headDim();
    return 6 * (config.parameterCount() - embeddingLookup)
        + 12.0 * config.numHiddenLayers() * width * sequenceLength;
  }
}
