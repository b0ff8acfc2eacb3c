package org.pretrain4j.trainer.model;

/**
 * What a forward pass keeps of each layer for the backward pass. What isn't kept is computed again
 * there (Chen et al., 2016), by the same operators on the same values, so that gradients stay what
 * they are.
 */
public enum ActivationCheckpointing {
  /** All that the backward pass reads. */
  NONE,
  /**
   * Not the hidden activations of the feed-forward network. They take most of a layer's memory, and
   * no other product is cheaper to repeat for a byte: in bf16 a byte of a projection's result costs
   * as many operations as the projection's input is wide, a byte of attention's result as many as
   * the sequence is long.
   */
  SELECTED,
  /** Only the layer's input. */
  FULL
}
