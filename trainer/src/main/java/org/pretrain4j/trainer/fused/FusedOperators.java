package org.pretrain4j.trainer.fused;

import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.MicroBatch;

/**
 * What a device does beside the matrix products of the fused pass. Rows are tokens; arithmetic is
 * in float32, results are of their activation's type. Calls only queue work where the device works
 * on its own; {@link #takeLoss} waits for it. For one pass at a time.
 */
interface FusedOperators extends AutoCloseable {

  /** Takes the tokens of the pass that begins; what is said of tokens and targets means these. */
  void begin(MicroBatch batch);

  /**
   * Rows of the table by input token.
   *
   * @param table {@code [vocabulary, hidden]}
   * @param output {@code [tokens, hidden]}, written
   */
  void embed(Activation table, Activation output);

  /**
   * Gradient of {@link #embed}.
   *
   * @param gradient {@code [tokens, hidden]}
   * @param sum float32 {@code [vocabulary, hidden]}, added to
   */
  void embedBackward(Activation gradient, Tensor sum);

  /**
   * RMSNorm of each row.
   *
   * @param x {@code [tokens, hidden]}
   * @param weight {@code [1, hidden]}
   * @param y {@code [tokens, hidden]}, written
   * @param scale float32 {@code [tokens]}, written: what the rows were multiplied by
   */
  void norm(Activation x, Activation weight, Activation y, Tensor scale);

  /**
   * Gradient of {@link #norm}.
   *
   * @param dy {@code [tokens, hidden]}, of the model's type or float32
   * @param past the gradient that reaches x beside the norm, or null; may be dx
   * @param dx {@code [tokens, hidden]}, written: the sum of both
   * @param weightGradient float32 {@code [hidden]}, added to
   */
  void normBackward(
      Activation dy,
      Activation past,
      Activation x,
      Activation weight,
      Tensor scale,
      Activation dx,
      Tensor weightGradient);

  /**
   * Rotates the first heads of each row by its position, in place.
   *
   * @param qkv {@code [tokens, width]}
   * @param heads that rotate: those of queries and keys
   * @param sequenceLength tokens of a sequence
   */
  void rotate(Activation qkv, int heads, int sequenceLength);

  /** Gradient of {@link #rotate}: rotates back, in place. */
  void rotateBack(Activation gradient, int heads, int sequenceLength);

  /**
   * {@code silu(gate) * up}.
   *
   * @param gateUp {@code [tokens, 2 * intermediate]}: gate, then up
   * @param activated {@code [tokens, intermediate]}, written
   */
  void swiGlu(Activation gateUp, Activation activated);

  /**
   * Gradient of {@link #swiGlu}.
   *
   * @param gradient {@code [tokens, intermediate]}
   * @param gateUp replaced by its gradient
   */
  void swiGluBackward(Activation gradient, Activation gateUp);

  /**
   * {@link #swiGlu} and then its gradient, in one pass over memory where that can be.
   *
   * @param gradient {@code [tokens, intermediate]}
   * @param gateUp replaced by its gradient
   * @param activated {@code [tokens, intermediate]}, written
   */
  default void swiGluBackward(Activation gradient, Activation gateUp, Activation activated) {
    swiGlu(gateUp, activated);
    swiGluBackward(gradient, gateUp);
  }

  /**
   * Replaces logits by the gradient of the sum of the losses, and adds the losses to those that
   * {@link #takeLoss} gives.
   *
   * @param logits {@code [chunk, vocabulary]} of the tokens from {@code start} on
   */
  void crossEntropy(Activation logits, int start);

  /** Sum of the losses since the last call, in nats over the targets that count. */
  double takeLoss();

  /** Attention between the tokens of each document. */
  DocumentAttention attention();

  /** The products that make gradients. */
  GradientProducts products();

  @Override
  void close();
}
