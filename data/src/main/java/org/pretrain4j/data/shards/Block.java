package org.pretrain4j.data.shards;

/**
 * A decoded record batch.
 *
 * @param tokens of its rows, one after the other
 * @param documentEnds ascending positions (exclusive) in tokens at which a document ends
 */
record Block(int[] tokens, int[] documentEnds) {
  long bytes() {
    return 4L * (tokens.length + documentEnds.length) + 64;
  }
}
