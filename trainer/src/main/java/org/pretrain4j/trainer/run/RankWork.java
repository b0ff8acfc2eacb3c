package org.pretrain4j.trainer.run;

import java.util.List;

/**
 * Seconds that one rank worked in a step, waiting for other ranks left out. Small enough to travel
 * in a single number.
 *
 * @param data until its rows were there
 * @param forward embedding, layers and head
 * @param backward through the layers
 * @param optimizer of the step before, as that of this one is still to come when ranks exchange it
 */
record RankWork(double data, double forward, double backward, double optimizer) {
  static final List<String> PHASES = List.of("data", "forward", "backward", "optimizer");

  private static final int BITS = 16;
  private static final float LARGEST = 65_504;

  /** Four half-precision numbers: three digits of each time up to 18 hours. */
  long packed() {
    return pack(data)
        | pack(forward) << BITS
        | pack(backward) << 2 * BITS
        | pack(optimizer) << 3 * BITS;
  }

  private static long pack(double seconds) {
    return Short.toUnsignedLong(Float.floatToFloat16(Math.min(LARGEST, (float) seconds)));
  }

  static RankWork unpacked(long packed) {
    return new RankWork(
        unpack(packed),
        unpack(packed >> BITS),
        unpack(packed >> 2 * BITS),
        unpack(packed >> 3 * BITS));
  }

  private static double unpack(long bits) {
    return Float.float16ToFloat((short) bits);
  }

  /** All of it. */
  double seconds() {
    return data + forward + backward + optimizer;
  }

  /** By phase, in the order of {@link #PHASES}. */
  double[] phases() {
    return new double[] {data, forward, backward, optimizer};
  }

  /** What the passes would take with another number of rows. */
  RankWork scaled(double factor) {
    return new RankWork(data, factor * forward, factor * backward, optimizer);
  }
}
