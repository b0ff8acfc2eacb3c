package org.pretrain4j.trainer.model;

import java.util.List;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/**
 * The sizes of a SmolLM3 decoder. The keys are those of the model's config.json in the Hugging Face
 * convention.
 */
public record ModelConfig(
    @Key("Rows of the embedding table; at least as many as the tokenizer has tokens") int vocabSize,
    @Key("Width of the residual stream") int hiddenSize,
    @Key("Width of the SwiGLU feed-forward network") int intermediateSize,
    @Key("Number of decoder layers") int numHiddenLayers,
    @Key("Number of query heads") int numAttentionHeads,
    @Key("Number of key and value heads (grouped-query attention)") int numKeyValueHeads,
    @Key("Width of a head; even, since rotary embeddings turn pairs")
        @Default(value = "0", meaning = "hidden_size / num_attention_heads")
        int headDim,
    @Key("Base of the rotary frequencies") @Default("50000") double ropeTheta,
    @Key("Every so many layers one does without rotary embeddings; 0: every layer has them")
        @Default("4")
        int noRopeLayerInterval,
    @Key("Added to the mean square in RMSNorm") @Default("1e-6") double rmsNormEps,
    @Key("Standard deviation of the initial weights") @Default("0.02") double initializerRange,
    @Key("Longest sequence in tokens that the model is made for") int maxPositionEmbeddings,
    @Key("Whether the output head is the embedding table") @Default("true")
        boolean tieWordEmbeddings) {

  public ModelConfig {
    Checks checks = new Checks();
    checks.positive("vocab_size", vocabSize);
    checks.positive("hidden_size", hiddenSize);
    checks.positive("intermediate_size", intermediateSize);
    checks.positive("num_hidden_layers", numHiddenLayers);
    checks.positive("num_attention_heads", numAttentionHeads);
    checks.positive("num_key_value_heads", numKeyValueHeads);
    checks.notNegative("head_dim", headDim);
    checks.positive("rope_theta", ropeTheta);
    checks.notNegative("no_rope_layer_interval", noRopeLayerInterval);
    checks.positive("rms_norm_eps", rmsNormEps);
    checks.positive("initializer_range", initializerRange);
    checks.positive("max_position_embeddings", maxPositionEmbeddings);
    boolean derived = headDim == 0;
    checks.together(
        List.of("num_attention_heads", "hidden_size", "head_dim"),
        () -> !derived || hiddenSize % numAttentionHeads == 0,
        numAttentionHeads,
        "a divisor of hidden_size " + hiddenSize + " (or give head_dim)");
    checks.together(
        List.of("num_key_value_heads", "num_attention_heads"),
        () -> numAttentionHeads % numKeyValueHeads == 0,
        numKeyValueHeads,
        "a divisor of num_attention_heads " + numAttentionHeads);
    int width = derived && numAttentionHeads > 0 ? hiddenSize / numAttentionHeads : headDim;
    checks.together(
        List.of("head_dim", "hidden_size", "num_attention_heads"),
        () -> width > 0 && width % 2 == 0,
        width,
        derived
            ? "an even number: choose hidden_size and num_attention_heads so that their quotient"
                + " is even"
            : "an even number");
    checks.throwIfAny();
    headDim = width;
  }

  /**
   * Number of parameters: 3,075,098,624 for SmolLM3-3B.
   *
   * @throws ArithmeticException if there are more than 2^63 - 1
   */
  public long parameterCount() {
    long hidden = hiddenSize;
    long queries =
        Math.multiplyExact(hidden, Math.multiplyExact((long) numAttentionHeads, headDim));
    long keys = Math.multiplyExact(hidden, Math.multiplyExact((long) numKeyValueHeads, headDim));
    long attention = Math.multiplyExact(2, Math.addExact(queries, keys));
    long feedForward = Math.multiplyExact(3, Math.multiplyExact(hidden, intermediateSize));
    long layer = Math.addExact(Math.addExact(attention, feedForward), 2 * hidden);
    long tables = Math.multiplyExact(tieWordEmbeddings ? 1L : 2L, (long) vocabSize * hidden);
    return Math.addExact(
        Math.addExact(tables, hidden), Math.multiplyExact(layer, (long) numHiddenLayers));
  }
}
