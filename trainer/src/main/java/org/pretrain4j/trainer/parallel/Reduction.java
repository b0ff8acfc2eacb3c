package org.pretrain4j.trainer.parallel;

/** How the values of all ranks become one. */
public enum Reduction {
  /** Their sum; bfloat16 values are summed in float32 and rounded once. */
  SUM,
  /** The largest; NaN if any value is NaN. */
  MAX
}
