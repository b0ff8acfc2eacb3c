package org.pretrain4j.trainer.parallel;

/**
 * What the ranks of one run do together. One object belongs to one rank and is used from one thread
 * (any thread may call {@link #abort}); every rank calls the same methods in the same order with
 * buffers of the same sizes. Whatever goes wrong on any rank becomes a {@link CollectiveException}
 * on all of them within the timeout; no call waits for ever.
 */
public interface Collectives extends AutoCloseable {
  /** So many longs travel in one call. */
  int MOST_LONGS = 8;

  /** This rank, from 0 to worldSize - 1. */
  int rank();

  /** Number of ranks. */
  int worldSize();

  /** Every rank's buffer becomes the reduction of all of them, in place. */
  Pending allReduce(FlatBuffer buffer, Reduction reduction);

  /**
   * The sum of all inputs, cut into worldSize equal parts: rank r gets the r-th. {@code output} may
   * be the r-th part of {@code input} itself, but must not overlap it otherwise.
   *
   * @param input [worldSize x n] elements
   * @param output [n] elements
   */
  Pending reduceScatter(FlatBuffer input, FlatBuffer output);

  /**
   * All inputs one after the other, in the order of ranks. {@code input} may be the r-th part of
   * {@code output} itself, but must not overlap it otherwise.
   *
   * @param input [n] elements
   * @param output [worldSize x n] elements
   */
  Pending allGather(FlatBuffer input, FlatBuffer output);

  /** Every rank's buffer becomes a copy of the root's. */
  Pending broadcast(FlatBuffer buffer, int root);

  /** Returns when all ranks have called it. */
  void barrier();

  /**
   * A small message of any length.
   *
   * @param bytes the message on the root; ignored on the others
   * @return the root's message, on every rank
   */
  byte[] broadcastBytes(byte[] bytes, int root);

  /**
   * A few values of all ranks, in the order of ranks. One call with all that is to be said costs as
   * much as one with a single value.
   *
   * @param values [n] of this rank, from 1 to {@link #MOST_LONGS}
   * @return [worldSize x n]
   * @throws IllegalArgumentException if n is outside of that, before anybody waits
   */
  long[] allGatherLongs(long... values);

  /** The values of all ranks, in the order of ranks. */
  default long[] allGatherLong(long value) {
    return allGatherLongs(value);
  }

  /** The values of all ranks, in the order of ranks, bit for bit. */
  default double[] allGatherDouble(double value) {
    long[] bits = allGatherLong(Double.doubleToRawLongBits(value));
    double[] values = new double[bits.length];
    for (int i = 0; i < bits.length; i++) {
      values[i] = Double.longBitsToDouble(bits[i]);
    }
    return values;
  }

  /**
   * Tells the other ranks that this one cannot go on: their calls throw, now or at their next
   * collective, with this rank and this reason. Safe from any thread; the first reason stays.
   */
  void abort(String reason);

  /**
   * Leaves the group. Ranks that still need this one get an exception; nothing waits.
   *
   * @throws CollectiveException if the communication library reports an error
   */
  @Override
  void close();
}
