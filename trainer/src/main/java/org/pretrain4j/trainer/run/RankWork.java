package org.pretrain4j.trainer.run;

import java.util.List;

/**
 * Seconds of one rank in a step, by phase.
 *
 * @param data until its rows were there
 * @param forward embedding, layers and head
 * @param backward through the layers
 * @param optimizer of the step before, as that of this one is still to come when ranks exchange it
 * @param communication that it waited for other ranks, which is no work of its own; of the step
 *     before, likewise
 * @param garbageCollection pauses for the Java heap's collector in the step before, which lie
 *     within the other phases; of the rank's process, that is, of all ranks in it
 */
record RankWork(
    double data,
    double forward,
    double backward,
    double optimizer,
    double communication,
    double garbageCollection) {
  /** The phases of own work. */
  static final List<String> PHASES = List.of("data", "forward", "backward", "optimizer");

  /** Numbers that it travels in. */
  static final int LONGS = 3;

  /** In {@link #LONGS} numbers, each time rounded to float32. */
  long[] packed() {
    return new long[] {
      pack(data, forward), pack(backward, optimizer), pack(communication, garbageCollection)
    };
  }

  private static long pack(double high, double low) {
    return (long) Float.floatToRawIntBits((float) high) << Integer.SIZE
        | Float.floatToRawIntBits((float) low) & 0xFFFF_FFFFL;
  }

  /**
   * Reverses {@link #packed}.
   *
   * @param from where it begins in the numbers
   */
  static RankWork unpacked(long[] packed, int from) {
    return new RankWork(
        high(packed[from]),
        low(packed[from]),
        high(packed[from + 1]),
        low(packed[from + 1]),
        high(packed[from + 2]),
        low(packed[from + 2]));
  }

  private static double high(long packed) {
    return Float.intBitsToFloat((int) (packed >>> Integer.SIZE));
  }

  private static double low(long packed) {
    return Float.intBitsToFloat((int) packed);
  }

  /** All of its own work. */
  double seconds() {
    return data + forward + backward + optimizer;
  }

  /** Own work by phase, in the order of {@link #PHASES}. */
  double[] phases() {
    return new double[] {data, forward, backward, optimizer};
  }

  /** What the passes would take with another number of rows. */
  RankWork scaled(double factor) {
    return new RankWork(
        data, factor * forward, factor * backward, optimizer, communication, garbageCollection);
  }
}
