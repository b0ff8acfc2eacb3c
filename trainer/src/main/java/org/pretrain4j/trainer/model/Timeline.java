package org.pretrain4j.trainer.model;

/**
 * Points in the work of one rank's device and the time between them: on a GPU, where calls only
 * queue work, the GPU's own time. For one thread.
 */
public interface Timeline extends AutoCloseable {

  /** A point behind all work that the device has been given so far. */
  long mark();

  /** Seconds from one point to a later one; waits until the device has passed it. */
  double seconds(long from, long to);

  /** The point is not asked about any more. */
  void forget(long mark);

  @Override
  void close();

  /** Of the host, where work is done when a call returns. */
  static Timeline host() {
    return new Timeline() {
      @Override
      public long mark() {
        return System.nanoTime();
      }

      @Override
      public double seconds(long from, long to) {
        return (to - from) * 1e-9;
      }

      @Override
      public void forget(long mark) {}

      @Override
      public void close() {}
    };
  }
}
