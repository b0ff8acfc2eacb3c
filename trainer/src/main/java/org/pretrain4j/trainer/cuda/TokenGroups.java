package org.pretrain4j.trainer.cuda;

import java.util.Arrays;

/**
 * The positions of each token of a batch, so that its rows can be added by one thread in their
 * order, without atomics.
 *
 * @param tokens those that occur, in ascending order
 * @param starts for each of them, where its positions start; one more at the end
 * @param positions of all tokens, those of one token together and in ascending order
 */
public record TokenGroups(int[] tokens, int[] starts, int[] positions) {

  /**
   * The groups in the GPU's memory.
   *
   * @param count how many tokens occur
   * @param tokens int32 [count]
   * @param starts int32 [count + 1]
   * @param positions int32
   */
  public record OnDevice(int count, long tokens, long starts, long positions) {}

  /**
   * Sorts by counting.
   *
   * @param batch its tokens
   * @param counts int [vocabulary], overwritten; for callers that sort one batch after another
   * @throws IllegalArgumentException if a token is outside of the vocabulary
   */
  public static TokenGroups of(int[] batch, int[] counts) {
    int vocabSize = counts.length;
    Arrays.fill(counts, 0);
    for (int token : batch) {
      if (token < 0 || token >= vocabSize) {
        throw new IllegalArgumentException(
            "token " + token + " in a vocabulary of " + vocabSize + " tokens");
      }
      counts[token]++;
    }
    int[] tokens = new int[Math.min(vocabSize, batch.length)];
    int[] starts = new int[tokens.length + 1];
    int[] next = counts; // where the next position of each token goes
    int groups = 0;
    int start = 0;
    for (int token = 0; token < vocabSize; token++) {
      int count = counts[token];
      if (count > 0) {
        tokens[groups] = token;
        next[token] = start;
        start += count;
        starts[++groups] = start;
      }
    }
    int[] positions = new int[batch.length];
    for (int position = 0; position < batch.length; position++) {
      positions[next[batch[position]]++] = position;
    }
    return new TokenGroups(
        Arrays.copyOf(tokens, groups), Arrays.copyOf(starts, groups + 1), positions);
  }
}
