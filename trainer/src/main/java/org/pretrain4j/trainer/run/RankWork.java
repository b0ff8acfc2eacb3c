package org.pretrain4j.trainer.run;

import java.util.List;

/**
 * Seconds of one rank in a step, by phase. Small enough to travel in a single number.
 *
 * @param data until its rows were there
 * @param forward embedding, layers and head
 * @param backward through the layers
 * @param optimizer of the step before, as that of this one is still to come when ranks exchange it
 * @param communication that it waited for other ranks, which is no work of its own; of the step
 *     before, likewise
 */
record RankWork(
    double data, double forward, double backward, double optimizer, double communication) {
  /** The phases of own work. */
  static final List<String> PHASES = List.of("data", "forward", "backward", "optimizer");

  private static final int BITS = 12;
  private static final int DROPPED = 3;
  private static final float LARGEST = 65_024;

  /**
   * Five numbers of half precision without sign and without the last three bits: two digits of each
   * time up to 18 hours.
   */
  long packed() {
    return pack(data)
        | pack(forward) << BITS
        | pack(backward) << 2 * BITS
        | pack(optimizer) << 3 * BITS
        | pack(communication) << 4 * BITS;
  }

  private static long pack(double seconds) {
    short half = Float.floatToFloat16(Math.min(LARGEST, (float) Math.max(0, seconds)));
    return half + (1 << DROPPED - 1) >> DROPPED;
  }

  static RankWork unpacked(long packed) {
    return new RankWork(
        unpack(packed),
        unpack(packed >> BITS),
        unpack(packed >> 2 * BITS),
        unpack(packed >> 3 * BITS),
        unpack(packed >> 4 * BITS));
  }

  private static double unpack(long bits) {
    return Float.float16ToFloat((short) ((bits & (1 << BITS) - 1) << DROPPED));
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
    return new RankWork(data, factor * forward, factor * backward, optimizer, communication);
  }
}
