package org.pretrain4j.trainer.exchange;

import java.util.OptionalInt;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.trainer.model.ModelConfig;

/** The sizes of a model, as the run says them and as other programs do. */
final class Architectures {
  private Architectures() {}

  /**
   * @param endOfText id of the token that ends a text, if it is known
   */
  static ModelArchitecture of(ModelConfig config, OptionalInt endOfText) {
    return new ModelArchitecture(
        config.vocabSize(),
        config.hiddenSize(),
        config.intermediateSize(),
        config.numHiddenLayers(),
        config.numAttentionHeads(),
        config.numKeyValueHeads(),
        config.headDim(),
        config.ropeTheta(),
        config.noRopeLayerInterval(),
        config.rmsNormEps(),
        config.initializerRange(),
        config.maxPositionEmbeddings(),
        config.tieWordEmbeddings(),
        OptionalInt.empty(),
        endOfText,
        OptionalInt.empty());
  }

  static ModelConfig toConfig(ModelArchitecture model) {
    return new ModelConfig(
        model.vocabSize(),
        model.hiddenSize(),
        model.intermediateSize(),
        model.numHiddenLayers(),
        model.numAttentionHeads(),
        model.numKeyValueHeads(),
        model.headDim(),
        model.ropeTheta(),
        model.noRopeLayerInterval(),
        model.rmsNormEps(),
        model.initializerRange(),
        model.maxPositionEmbeddings(),
        model.tieWordEmbeddings());
  }
}
