package org.pretrain4j.data.shards;

/**
 * Consecutive tokens of a dataset.
 *
 * @param tokens [sequence length + 1]
 * @param documentStarts ascending positions above 0 at which a new document begins
 * @param substitute whether it stands in for a damaged one
 */
public record Sequence(int[] tokens, int[] documentStarts, boolean substitute) {
  public Sequence(int[] tokens, int[] documentStarts) {
    this(tokens, documentStarts, false);
  }

  Sequence asSubstitute() {
    return new Sequence(tokens, documentStarts, true);
  }
}
