package org.pretrain4j.launch.plan;

import java.util.Comparator;
import java.util.List;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.trainer.fused.LogitChunks;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.parallel.ProcessCollectives;
import org.pretrain4j.trainer.parallel.backend.Backend;
import org.pretrain4j.trainer.run.ParallelismConfig;
import org.pretrain4j.trainer.run.TrainingConfig;
import org.pretrain4j.trainer.run.TrainingConfig.Precision;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.GradientBuffer;
import org.pretrain4j.trainer.sharding.OptimizerShard;

/**
 * Memory of a rank in bytes, by kind.
 *
 * @param weights the copy that computes
 * @param gradients fp32 sums over the micro-batches of a step, or the rank's shard of them and the
 *     buckets under way
 * @param optimizer fp32 master weights and both moments of the rank's shard
 * @param activations what the backward pass needs of the layers, and the room that they share
 * @param logits the head's chunk of logits with its gradient
 * @param communication what TCP and MPI receive the other ranks' gradients in; NCCL and threads of
 *     one process need none
 */
public record MemoryPlan(
    long weights,
    long gradients,
    long optimizer,
    long activations,
    long logits,
    long communication) {

  /** Tokens for which the composed pass has logits at a time. */
  private static final int COMPOSED_CHUNK_TOKENS = 1024;

  private static final long COMPOSED_LOGIT_BYTES = 20;

  /**
   * The formulas, with N parameters, R ranks, b bytes of the compute type (2 for bf16, 4 for fp32),
   * V the vocabulary, all but for the padding of buckets:
   *
   * <ul>
   *   <li>weights: b N
   *   <li>gradients, full: 4 N; sharded: 4 (N / R + the embedding table + two layers or buckets)
   *   <li>optimizer: 12 N / R (master weights, first and second moment)
   *   <li>activations: tokens of a micro-batch times {@link #composed} or {@link #fused}, and the
   *       fused pass's {@link #scratch}; in the composed pass also what is computed again ({@link
   *       #repeated}), as far as that is more than the logits, which are gone by then
   *   <li>logits, fused: b V times a chunk of the tokens, all chunks alike and at most max(64, 2^27
   *       / V) long, of more than 1024 tokens at least two; logits and gradient in one place
   *   <li>logits, composed: min(tokens, 1024) times V times 20: fp32 logits, their log softmax, and
   *       the gradients of both; in bf16 also the logits and their gradient, in fp32 another copy
   *   <li>communication, where parallelism.collectives is tcp or mpi: 4 bytes for each element of
   *       the two largest buckets that are reduced at a time; with tcp without the rank's own part
   * </ul>
   *
   * The fused pass keeps its memory between steps, for a last micro-batch with fewer rows once
   * more. Where libtorch comes without MKL, it also takes b times one matrix of each shape. What
   * training.composed_operators take for a moment is not counted.
   */
  public static MemoryPlan of(
      ModelConfig model, TrainingConfig training, ParallelismConfig parallelism, long ranks) {
    int type = training.precision() == Precision.BF16 ? 2 : 4;
    boolean fused = training.kernels() == Kernels.FUSED;
    Buckets buckets =
        Buckets.of(ModelLayout.of(model), Math.toIntExact(ranks), parallelism.bucketElements());
    long gradients =
        GradientBuffer.bytes(
            parallelism.gradientSharding(), buckets, training.mostMicroBatches(ranks));
    long owned = buckets.rangesOf(0).stream().mapToLong(FlatRange::length).sum();
    long rows = Math.ceilDiv(training.rowsPerStep(), ranks);
    long full = Math.min(rows, training.microBatchSize());
    long rest = fused && rows > full ? rows % training.microBatchSize() : 0;
    long activations = 0;
    long logits = 0;
    for (long batch : List.of(full, rest)) {
      long tokens = batch * training.sequenceLength();
      long head = logits(model, type, fused, tokens);
      ActivationCheckpointing checkpointing = training.activationCheckpointing();
      activations +=
          fused
              ? tokens * fused(model, type, checkpointing)
              : tokens * composed(model, type, checkpointing)
                  + Math.max(0, tokens * repeated(model, type, checkpointing) - head);
      logits += head;
    }
    return new MemoryPlan(
        type * buckets.storageElements(),
        gradients,
        OptimizerShard.BYTES_PER_PARAMETER * owned,
        activations + (fused ? scratch(model, training, type, full) : 0),
        logits,
        communication(parallelism.collectives(), buckets));
  }

  private static long communication(Backend engine, Buckets buckets) {
    long elements =
        buckets.buckets().stream()
            .map(bucket -> bucket.chunk() * buckets.worldSize())
            .sorted(Comparator.reverseOrder())
            .limit(ProcessCollectives.UNDER_WAY)
            .mapToLong(Long::longValue)
            .sum();
    long own = elements / buckets.worldSize();
    return switch (engine) {
      case TCP -> Float.BYTES * (elements - own);
      case MPI -> buckets.worldSize() == 1 ? 0 : Float.BYTES * elements;
      case AUTO, IN_PROCESS, NCCL -> 0;
    };
  }

  private static long logits(ModelConfig model, int type, boolean fused, long tokens) {
    long vocabulary = model.vocabSize();
    return fused
        ? LogitChunks.tokens(vocabulary, tokens) * vocabulary * type
        : Math.min(tokens, COMPOSED_CHUNK_TOKENS) * vocabulary * COMPOSED_LOGIT_BYTES;
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
   * With {@code selected} checkpointing, the second norm and the feed-forward network keep only
   * their input, b H; with {@code full}, a layer keeps nothing else.
   *
   * <p>Masks between documents are not in it: a kernel made for packed documents needs none.
   */
  static long composed(ModelConfig model, int type, ActivationCheckpointing checkpointing) {
    long hidden = model.hiddenSize();
    long input = type == 2 ? type * hidden : 0;
    long attention = norm(model, type) + attention(model, type);
    long layer =
        switch (checkpointing) {
          case NONE -> input + attention + norm(model, type) + feedForward(model, type);
          case SELECTED -> input + attention + type * hidden;
          case FULL -> type * hidden;
        };
    return model.numHiddenLayers() * layer;
  }

  /**
   * Bytes of a token while the composed pass computes a part of a layer again and backwards: what
   * would have been kept of it, and the larger of what lives only then. That is, going forward, 8 H
   * in each norm, sums and branches of the stream, 2 b H in each half, and copies for the rotation,
   * b (6 A + 7 K); going backward, gradients in the feed-forward network, 3 b F.
   */
  static long repeated(ModelConfig model, int type, ActivationCheckpointing checkpointing) {
    if (checkpointing == ActivationCheckpointing.NONE) {
      return 0;
    }
    long kept = norm(model, type) + feedForward(model, type);
    long forward = (8L + 2 * type) * model.hiddenSize();
    if (checkpointing == ActivationCheckpointing.FULL) {
      kept += norm(model, type) + attention(model, type);
      forward += forward + type * (6 * queries(model) + 7 * keys(model));
    }
    return kept + Math.max(forward, 3L * type * model.intermediateSize());
  }

  private static long norm(ModelConfig model, int type) {
    return (4L + 2 * type) * model.hiddenSize();
  }

  private static long attention(ModelConfig model, int type) {
    return 4 * type * queries(model) + 4L * model.numAttentionHeads();
  }

  private static long feedForward(ModelConfig model, int type) {
    return 4L * type * model.intermediateSize();
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
   * and all layers share three rows of the stream and one in fp32, two of the feed-forward network,
   * the gradients of attention, and those of queries, keys and values in fp32 for each query head:
   * b (3 H + 2 F + 2 A + 2 K) + 4 H + 4 + 12 A.
   *
   * <p>With {@code selected} checkpointing all layers share the memory of gate and up, with {@code
   * full} all but their input.
   */
  static long fused(ModelConfig model, int type, ActivationCheckpointing checkpointing) {
    long hidden = model.hiddenSize();
    long feedForward = model.intermediateSize();
    long attention = 2 * queries(model) + 2 * keys(model);
    long layer =
        type * (2 * hidden + attention + 2 * feedForward) + 8 + 4L * model.numAttentionHeads();
    long shared =
        type * (3 * hidden + 2 * feedForward + attention) + 4 * hidden + 4 + 12 * queries(model);
    long repeated =
        switch (checkpointing) {
          case NONE -> 0;
          case SELECTED -> 2 * type * feedForward;
          case FULL -> layer - type * hidden;
        };
    return model.numHiddenLayers() * (layer - repeated) + repeated + shared;
  }

  /**
   * Bytes that come and go in the fused pass: the copy in which MKL arranges the largest factor of
   * a product, be it the logits' gradient or that of gate and up. Products in tiles need less.
   */
  static long scratch(ModelConfig model, TrainingConfig training, int type, long rows) {
    long tokens = rows * training.sequenceLength();
    long gateUp = type * tokens * 2 * model.intermediateSize();
    return Math.max(logits(model, type, true, tokens), gateUp);
  }

  private static long queries(ModelConfig model) {
    return (long) model.numAttentionHeads() * model.headDim();
  }

  private static long keys(ModelConfig model) {
    return (long) model.numKeyValueHeads() * model.headDim();
  }

  /** All of it. */
  public long totalBytes() {
    return weights + gradients + optimizer + activations + logits + communication;
  }
}
