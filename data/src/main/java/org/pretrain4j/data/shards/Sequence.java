package org.pretrain4j.data.shards;

/**
 * Consecutive tokens of a dataset.
 *
 * @param tokens [sequence length + 1]
 * @param documentStarts ascending positions above 0 at which a new document begins
 */
public record Sequence(int[] tokens, int[] documentStarts) {}
