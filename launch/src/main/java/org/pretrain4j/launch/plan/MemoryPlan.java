package org.pretrain4j.launch.plan;

import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.run.TrainingConfig;
import org.pretrain4j.trainer.run.TrainingConfig.Precision;

/**
 * Memory of a GPU in bytes, by kind.
 *
 * @param weights the copy that computes
 * @param gradients fp32 sums over the micro-batches of a step
 * @param optimizer fp32 master weights and both moments of the rank's shard
 * @param activations what the backward pass needs of the layers
 * @param logits the head's chunk of logits with its gradient
 */
public record MemoryPlan(
    long weights, long gradients, long optimizer, long activations, long logits) {

  /** Tokens for which logits exist at a time. */
  private static final int HEAD_CHUNK_TOKENS = 1024;

  /**
   * The formulas, with N parameters, R ranks, b bytes of the compute type (2 for bf16, 4 for fp32),
   * T tokens of a micro-batch:
   *
   * <ul>
   *   <li>weights: b N
   *   <li>gradients: 4 N where a rank adds up several micro-batches, since they are reduced once a
   *       step; else 4 N / R, as each layer's are reduced while the backward pass goes on
   *   <li>optimizer: 12 N / R (master weights, first and second moment)
   *   <li>activations: T times {@link #activationsPerToken}
   *   <li>logits: 1,024 tokens times the vocabulary times b (logits) + 16 (fp32 logits, their log
   *       softmax, and the gradients of both) + b (gradient of the logits)
   * </ul>
   */
  public static MemoryPlan of(ModelConfig model, TrainingConfig training, RowDeal deal) {
    long parameters = model.parameterCount();
    int type = training.precision() == Precision.BF16 ? 2 : 4;
    long microBatchRows = Math.min(training.microBatchSize(), deal.mostRows());
    boolean accumulates = deal.mostRows() > microBatchRows;
    long shard = Math.ceilDiv(parameters, deal.ranks());
    long tokens = microBatchRows * training.sequenceLength();
    long logits = Math.min(tokens, HEAD_CHUNK_TOKENS) * model.vocabSize() * (2L * type + 16);
    return new MemoryPlan(
        type * parameters,
        4 * (accumulates ? parameters : shard),
        12 * shard,
        tokens * activationsPerToken(model, type),
        logits);
  }

  /**
   * Bytes that the composed pass keeps of a token: what the automatic differentiation of its
   * operators saves, summed over the layers. With H the hidden width, A that of all query heads, F
   * that of the feed-forward network, n the number of heads and b the bytes of the compute type, a
   * layer keeps
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
  static long activationsPerToken(ModelConfig model, int type) {
    long hidden = model.hiddenSize();
    long heads = (long) model.numAttentionHeads() * model.headDim();
    long norms = 2 * (4 * hidden + 2 * type * hidden);
    long input = type == 2 ? type * hidden : 0;
    long attention = 4 * type * heads + 4L * model.numAttentionHeads();
    long feedForward = 4L * type * model.intermediateSize();
    return model.numHiddenLayers() * (input + norms + attention + feedForward);
  }

  /** All of it. */
  public long totalBytes() {
    return weights + gradients + optimizer + activations + logits;
  }
}
