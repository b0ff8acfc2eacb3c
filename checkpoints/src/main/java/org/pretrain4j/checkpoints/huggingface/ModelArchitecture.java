package org.pretrain4j.checkpoints.huggingface;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;

/**
 * The sizes of a SmolLM3 decoder as other programs want to know them.
 *
 * @param vocabSize rows of the embedding table
 * @param hiddenSize width of the residual stream
 * @param intermediateSize width of the feed-forward network
 * @param numHiddenLayers number of layers
 * @param numAttentionHeads number of query heads
 * @param numKeyValueHeads number of key and value heads
 * @param headDim width of a head
 * @param ropeTheta base of the rotary frequencies
 * @param noRopeLayerInterval every so many layers one has no rotary embeddings; 0 for none
 * @param rmsNormEps added to the mean square in RMSNorm
 * @param initializerRange standard deviation of the initial weights
 * @param maxPositionEmbeddings longest sequence in tokens
 * @param tieWordEmbeddings whether the output head is the embedding table
 * @param bosTokenId id of the token that begins a text, if there is one
 * @param eosTokenId id of the token that ends a text, if there is one
 * @param padTokenId id of the token that fills rows, if there is one
 */
public record ModelArchitecture(
    int vocabSize,
    int hiddenSize,
    int intermediateSize,
    int numHiddenLayers,
    int numAttentionHeads,
    int numKeyValueHeads,
    int headDim,
    double ropeTheta,
    int noRopeLayerInterval,
    double rmsNormEps,
    double initializerRange,
    int maxPositionEmbeddings,
    boolean tieWordEmbeddings,
    OptionalInt bosTokenId,
    OptionalInt eosTokenId,
    OptionalInt padTokenId) {

  /** The embedding table. */
  public static final String EMBEDDING = "model.embed_tokens.weight";

  /** The norm after the last layer. */
  public static final String FINAL_NORM = "model.norm.weight";

  /** The output head, absent if it is the embedding table. */
  public static final String HEAD = "lm_head.weight";

  public ModelArchitecture {
    int[] sizes = {
      vocabSize,
      hiddenSize,
      intermediateSize,
      numHiddenLayers,
      numAttentionHeads,
      numKeyValueHeads,
      headDim,
      maxPositionEmbeddings
    };
    for (int size : sizes) {
      if (size <= 0) {
        throw new IllegalArgumentException("a model can't have a size of " + size);
      }
    }
    if (noRopeLayerInterval < 0 || numAttentionHeads % numKeyValueHeads != 0) {
      throw new IllegalArgumentException("these sizes don't fit: " + numAttentionHeads + " heads");
    }
  }

  /** Whether a layer, counted from 0, has rotary embeddings. */
  public boolean rotates(int layer) {
    return noRopeLayerInterval == 0 || (layer + 1) % noRopeLayerInterval != 0;
  }

  /** Begin of the names of a layer's tensors. */
  public static String layerPrefix(int layer) {
    return "model.layers." + layer + ".";
  }

  /** All tensors that a model of these sizes has, shapes as [out, in]. */
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    add(tensors, EMBEDDING, vocabSize, hiddenSize);
    long queries = (long) numAttentionHeads * headDim;
    long keys = (long) numKeyValueHeads * headDim;
    for (int layer = 0; layer < numHiddenLayers; layer++) {
      String prefix = layerPrefix(layer);
      add(tensors, prefix + "input_layernorm.weight", hiddenSize);
      add(tensors, prefix + "self_attn.q_proj.weight", queries, hiddenSize);
      add(tensors, prefix + "self_attn.k_proj.weight", keys, hiddenSize);
      add(tensors, prefix + "self_attn.v_proj.weight", keys, hiddenSize);
      add(tensors, prefix + "self_attn.o_proj.weight", hiddenSize, queries);
      add(tensors, prefix + "post_attention_layernorm.weight", hiddenSize);
      add(tensors, prefix + "mlp.gate_proj.weight", intermediateSize, hiddenSize);
      add(tensors, prefix + "mlp.up_proj.weight", intermediateSize, hiddenSize);
      add(tensors, prefix + "mlp.down_proj.weight", hiddenSize, intermediateSize);
    }
    add(tensors, FINAL_NORM, hiddenSize);
    if (!tieWordEmbeddings) {
      add(tensors, HEAD, vocabSize, hiddenSize);
    }
    return tensors;
  }

  private static void add(List<TensorSpec> tensors, String name, long... shape) {
    tensors.add(new TensorSpec(name, DType.F32, Arrays.stream(shape).boxed().toList()));
  }
}
