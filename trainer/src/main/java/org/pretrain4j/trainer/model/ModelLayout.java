package org.pretrain4j.trainer.model;

import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.FlatRange;

/**
 * The parameters of a model in the flat space, named as Hugging Face names them.
 *
 * <p>The projections of query, key and value lie side by side, as do gate and up, so that each
 * group can also be read as one matrix.
 *
 * @param parameters every parameter, in the order of the forward pass
 * @param parts the parameters of each part of the model: the embedding first, then the layers, then
 *     the final norm (with the output head, if it is not tied)
 */
public record ModelLayout(FlatLayout parameters, List<FlatRange> parts) {
  /** Name of the embedding table. */
  public static final String EMBEDDING = "model.embed_tokens.weight";

  /** Name of the weight of the norm before the head. */
  public static final String FINAL_NORM = "model.norm.weight";

  /** Name of the output projection, where it is not tied. */
  public static final String HEAD = "lm_head.weight";

  public ModelLayout {
    parts = List.copyOf(parts);
  }

  /** The layout of a model of the given sizes. */
  public static ModelLayout of(ModelConfig config) {
    Builder builder = new Builder();
    long hidden = config.hiddenSize();
    long queries = (long) config.numAttentionHeads() * config.headDim();
    long keys = (long) config.numKeyValueHeads() * config.headDim();
    long ffn = config.intermediateSize();
    builder.add(EMBEDDING, config.vocabSize(), hidden).endPart();
    for (int index = 0; index < config.numHiddenLayers(); index++) {
      String layer = layer(index);
      builder
          .add(layer + "input_layernorm.weight", hidden)
          .add(layer + "self_attn.q_proj.weight", queries, hidden)
          .add(layer + "self_attn.k_proj.weight", keys, hidden)
          .add(layer + "self_attn.v_proj.weight", keys, hidden)
          .add(layer + "self_attn.o_proj.weight", hidden, queries)
          .add(layer + "post_attention_layernorm.weight", hidden)
          .add(layer + "mlp.gate_proj.weight", ffn, hidden)
          .add(layer + "mlp.up_proj.weight", ffn, hidden)
          .add(layer + "mlp.down_proj.weight", hidden, ffn)
          .endPart();
    }
    builder.add(FINAL_NORM, hidden);
    if (!config.tieWordEmbeddings()) {
      builder.add(HEAD, config.vocabSize(), hidden);
    }
    return builder.endPart().build();
  }

  /** Every {@code noRopeLayerInterval}-th layer has no positions; with 0 all have them. */
  public static boolean rotates(ModelConfig config, int layer) {
    int interval = config.noRopeLayerInterval();
    return interval == 0 || (layer + 1) % interval != 0;
  }

  /** Prefix of the parameter names of a layer. */
  public static String layer(int index) {
    return "model.layers." + index + ".";
  }

  private static final class Builder {
    private final List<FlatLayout.Parameter> parameters = new ArrayList<>();
    private final List<FlatRange> parts = new ArrayList<>();
    private long start;
    private long end;

    Builder add(String name, long... shape) {
      List<Long> sizes = new ArrayList<>();
      long elements = 1;
      for (long size : shape) {
        sizes.add(size);
        elements *= size;
      }
      parameters.add(new FlatLayout.Parameter(name, sizes));
      end += elements;
      return this;
    }

    Builder endPart() {
      parts.add(new FlatRange(start, end));
      start = end;
      return this;
    }

    ModelLayout build() {
      return new ModelLayout(FlatLayout.of(parameters), parts);
    }
  }
}
