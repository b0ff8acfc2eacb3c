package org.pretrain4j.data.tokens;

/**
 * How far a preparation job is.
 *
 * @param inputBytes bytes of input read so far (compressed bytes of compressed files)
 * @param totalInputBytes bytes of all inputs
 * @param documents documents written
 * @param tokens tokens written, ends of documents included
 * @param seconds since the job (or this continuation of it) began
 * @param secondsLeft estimated from the bytes read in this run; NaN before the first byte
 */
public record Progress(
    long inputBytes,
    long totalInputBytes,
    long documents,
    long tokens,
    double seconds,
    double secondsLeft) {

  public double megabytesPerSecond() {
    return inputBytes / 1e6 / seconds;
  }

  public double tokensPerSecond() {
    return tokens / seconds;
  }
}
