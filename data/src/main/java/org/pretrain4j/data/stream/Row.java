package org.pretrain4j.data.stream;

/**
 * One row of a global batch. Inputs are {@code tokens[0 .. L-1]}, targets {@code tokens[1 .. L]}; a
 * target that is the first token of a document is not learnt.
 *
 * @param tokens [sequence length + 1]
 * @param documentStarts ascending positions above 0 at which a new document begins
 * @param dataset index of the dataset in the plan
 * @param substitute whether it stands in for a damaged one
 */
public record Row(int[] tokens, int[] documentStarts, int dataset, boolean substitute) {}
