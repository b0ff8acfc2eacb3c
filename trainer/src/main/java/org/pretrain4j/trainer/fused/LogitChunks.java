package org.pretrain4j.trainer.fused;

/**
 * How the fused head cuts the tokens of a micro-batch, so that of more than 1,024 tokens the logits
 * are never there as a whole.
 */
public final class LogitChunks {
  /** Of a chunk, unless a few rows alone have more. */
  private static final long MOST_LOGITS = 1L << 27;

  private static final long LEAST_TOKENS = 64;

  /** More are cut in two at least, however few logits they have. */
  private static final long MOST_TOKENS_AT_ONCE = 1024;

  private LogitChunks() {}

  /** Most tokens of a chunk. */
  static long mostTokens(long vocabulary) {
    return Math.max(LEAST_TOKENS, MOST_LOGITS / vocabulary);
  }

  /**
   * Tokens of a chunk for a most of them; all but the last have as many, and that nearly so, as a
   * product of few rows is slower.
   */
  static long cut(long tokens, long most) {
    long chunks = Math.max(tokens > MOST_TOKENS_AT_ONCE ? 2 : 1, Math.ceilDiv(tokens, most));
    return Math.ceilDiv(tokens, chunks);
  }

  /**
   * Tokens of a chunk.
   *
   * @param vocabulary logits of a token
   * @param tokens of a micro-batch; none have a chunk of none
   */
  public static long tokens(long vocabulary, long tokens) {
    return cut(tokens, mostTokens(vocabulary));
  }
}
