package org.pretrain4j.launch.plan;

import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.run.TrainingConfig;
import org.pretrain4j.trainer.run.TrainingConfig.Precision;

/**
 * Memory of a rank in bytes, by kind.
 *
 * @param weights the copy that computes
 * @param gradients fp32 sums over the micro-batches of a step
 * @param optimizer fp32 master weights and both moments of the rank's shard
 * @param activations what the backward pass needs of the layers, and the room that they share
 * @param logits the head's chunk of logits with its gradient
 */
public record MemoryPlan(
    long weights, long gradients, long optimizer, long activations, long logits) {

  /** Tokens for which the composed pass has logits at a time. */
  private static final int COMPOSED_CHUNK_TOKENS = 1024;

  /** The fused pass has so many logits at a time, but those of 64 tokens at least. */
  private static final long FUSED_CHUNK_LOGITS = 1L << 26;

  private static final int FUSED_LEAST_CHUNK_TOKENS = 64;

  /**
   * The formulas, with N parameters, R ranks, b bytes of the compute type (2 for bf16, 4 for fp32),
   * V the vocabulary:
   *
   * <ul>
   *   <li>weights: b N
   *   <li>gradients: 4 N, a full set of sums on each rank
   *   <li>optimizer: 12 N / R (master weights, first and second moment)
   *   <li>activations: tokens of a micro-batch times {@link #composed} or {@link #fused}
   *   <li>logits, fused: min(tokens, max(64, 2^26 / V)) times b V, logits and gradient in one place
   *   <li>logits, composed: min(tokens, 1024) times V times b (logits) + 16 (fp32 logits, their log
   *       softmax, and the gradients of both) + b (gradient of the logits)
   * </ul>
   */
  public static MemoryPlan of(ModelConfig model, TrainingConfig training, RowDeal deal) {
    long parameters = model.parameterCount();
    int type = training.precision() == Precision.BF16 ? 2 : 4;
    long rows = Math.min(training.microBatchSize(), deal.mostRows());
    long tokens = rows * training.sequenceLength();
    long vocabulary = model.vocabSize();
    boolean fused = training.kernels() == Kernels.FUSED;
    long chunk =
        fused
            ? Math.max(FUSED_LEAST_CHUNK_TOKENS, FUSED_CHUNK_LOGITS / vocabulary)
            : COMPOSED_CHUNK_TOKENS;
    return new MemoryPlan(
        type * parameters,
        4 * parameters,
        12 * Math.ceilDiv(parameters, deal.ranks()),
        tokens * (fused ? fused(model, type) : composed(model, type)),
        Math.min(tokens, chunk) * vocabulary * (fused ? type : 2 * type + 16));
  }

  /**
   * Bytes of a token in the composed pass: what the automatic differentiation of its operators
   * saves, summed over the layers. With H the hidden width, A that of all query heads, F that of
   * the feed-forward network, n the number of heads and b the bytes of the compute type, a layer
   * keeps
   *
   * <ul>
   *   <li>its input: b H (the fp32 copy that the norm works on is a second array only in bf16)
   *   <li>each of two norms: 4 H in fp32, b H normalised, b H weighted
   *   <li>attention: queries, keys, values (repeated for grouped heads) and the result, 4 b A, and
   *       4 n for the log of the softmax's sums
   *   <li>feed-forward: gate, its silu, up, and their product, 4 b F
   * </ul>
   *
   * Masks between documents are not in it: a kernel made for packed documents needs none.
   */
  static long composed(ModelConfig model, int type) {
    long hidden = model.hiddenSize();
    long norms = 2 * (4 * hidden + 2 * type * hidden);
    long input = type == 2 ? type * hidden : 0;
    long attention = 4 * type * queries(model) + 4L * model.numAttentionHeads();
    long feedForward = 4L * type * model.intermediateSize();
    return model.numHiddenLayers() * (input + norms + attention + feedForward);
  }

  /**
   * Bytes of a token in the fused pass, which computes norms and activations a second time instead
   * of keeping them. With K the width of all key heads, a layer keeps
   *
   * <ul>
   *   <li>the residual stream before and in the middle of it: 2 b H, and 8 for what the norms
   *       divided by
   *   <li>queries, keys, values and the result: b (2 A + 2 K), and 4 n
   *   <li>gate and up: 2 b F
   * </ul>
   *
   * and all layers share four rows of the stream, two of the feed-forward network, and the
   * gradients of attention: b (4 H + 2 F + 2 A + 2 K) + 4.
   */
  static long fused(ModelConfig model, int type) {
    long hidden = model.hiddenSize();
    long feedForward = model.intermediateSize();
    long attention = 2 * queries(model) + 2L * model.numKeyValueHeads() * model.headDim();
    long layer =
        type * (2 * hidden + attention + 2 * feedForward) + 8 + 4L * model.numAttentionHeads();
    long shared = type * (4 * hidden + 2 * feedForward + attention) + 4;
    return model.numHiddenLayers() * layer + shared;
  }

  private static long queries(ModelConfig model) {
    return (long) model.numAttentionHeads() * model.headDim();
  }

  /** All of it. */
  public long totalBytes() {
    return weights + gradients + optimizer + activations + logits;
  }
}
