package org.pretrain4j.trainer.evaluation;

/**
 * Tokens that are seen together and by nothing else.
 *
 * @param tokens the first of them is only ever context
 * @param firstTarget position of the first token that is scored, at least 1
 */
record Segment(int[] tokens, int firstTarget) {
  Segment {
    if (tokens.length < 2 || firstTarget < 1 || firstTarget >= tokens.length) {
      throw new IllegalArgumentException(
          tokens.length + " tokens, scored from position " + firstTarget + " on");
    }
  }

  /** Inputs that it takes up in a row. */
  int inputs() {
    return tokens.length - 1;
  }

  /** Number of tokens that are scored. */
  int targets() {
    return tokens.length - firstTarget;
  }
}
