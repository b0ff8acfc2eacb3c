package org.pretrain4j.trainer.model;

import org.pretrain4j.configuration.Spelled;

/** The operators of the fused pass, each of which has a composed version beside it. */
public enum FusedOperator {
  /** Rows of the embedding table, and the table's gradient. */
  EMBEDDING,
  /** RMSNorm, and the addition of the gradient that passes beside it. */
  NORM,
  /** Rotary positions. */
  ROTARY,
  /** {@code silu(gate) * up}. */
  SWIGLU,
  /** Causal attention within documents. */
  ATTENTION,
  /** The matrix products that are not libtorch's own. */
  PRODUCTS,
  /** The loss and its gradient. */
  @Spelled("cross_entropy")
  CROSS_ENTROPY
}
