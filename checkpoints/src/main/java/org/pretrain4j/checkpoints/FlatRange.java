package org.pretrain4j.checkpoints;

/**
 * A half-open range of elements of the flat parameter space.
 *
 * @param start first element
 * @param end one past the last element
 */
public record FlatRange(long start, long end) {
  public FlatRange {
    if (start < 0 || end < start) {
      throw new IllegalArgumentException("no range: [" + start + ", " + end + ")");
    }
  }

  /** Number of elements. */
  public long length() {
    return end - start;
  }
}
