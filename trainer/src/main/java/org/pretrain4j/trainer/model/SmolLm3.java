package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * The decoder: embedding, layers, head. Inputs: int64 tokens {@code [batch, sequence]} and {@link
 * Context}; output: logits {@code [batch, sequence, vocabulary]}.
 */
final class SmolLm3 extends ModelBlock {
  private final TokenEmbedding embedding;
  private final List<DecoderLayer> layers = new ArrayList<>();
  private final LanguageModelHead head;

  SmolLm3(ModelConfig config) {
    this.embedding = addChildBlock("embed_tokens", new TokenEmbedding(config));
    for (int index = 0; index < config.numHiddenLayers(); index++) {
      layers.add(addChildBlock("layer" + index, new DecoderLayer(config, index)));
    }
    this.head = addChildBlock("head", new LanguageModelHead(config));
  }

  TokenEmbedding embedding() {
    return embedding;
  }

  List<DecoderLayer> layers() {
    return layers;
  }

  LanguageModelHead head() {
    return head;
  }

  @Override
  NDList compute(ParameterStore store, NDList inputs, boolean training) {
    Context context = Context.of(inputs);
    NDList hidden = embedding.compute(store, new NDList(inputs.head()), training);
    for (DecoderLayer layer : layers) {
      hidden = layer.compute(store, context.with((Tensor) hidden.head()), training);
    }
    return head.compute(store, hidden, training);
  }

  @Override
  public Shape[] getOutputShapes(Shape[] inputShapes) {
    return head.getOutputShapes(embedding.getOutputShapes(inputShapes));
  }
}
