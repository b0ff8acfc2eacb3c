package org.pretrain4j.data.tokens;

/**
 * How far a preparation job is.
 *
 * @param inputBytes bytes of input done so far (compressed bytes of compressed files)
 * @param resumedBytes of them that an earlier start of the job had done
 * @param totalInputBytes bytes of all inputs
 * @param documents documents written since the start
 * @param tokens tokens written since the start, ends of documents included
 * @param seconds since the start
 * @param secondsLeft estimated from the bytes done since the start; NaN before the first byte
 */
public record Progress(
    long inputBytes,
    long resumedBytes,
    long totalInputBytes,
    long documents,
    long tokens,
    double seconds,
    double secondsLeft) {

  public double megabytesPerSecond() {
    return (inputBytes - resumedBytes) / 1e6 / seconds;
  }

  public double tokensPerSecond() {
    return tokens / seconds;
  }
}
