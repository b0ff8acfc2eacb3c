package org.pretrain4j.trainer.model;

/** Ways to compute forward and backward; they differ in speed and rounding. */
public enum Kernels {
  /** Kernels of our own between the matrix products, backward by hand. */
  FUSED,
  /** libtorch's elementary operators and its automatic differentiation. */
  COMPOSED
}
