package org.pretrain4j.trainer.model;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.FlatRange;

/**
 * First values: normal with the configured deviation; the projections that write into the residual
 * stream (o_proj, down_proj) with that deviation over {@code sqrt(2 layers)}; norms are 1.
 *
 * <p>Each value is a function of the seed and of its place in the flat space alone, so any rank of
 * any world can make just its own part. Pairs of values come from two hashed counters by the
 * Box-Muller transform.
 */
public final class ParameterInitializer {
  private final ModelConfig config;
  private final FlatLayout layout;
  private final long seed;

  public ParameterInitializer(ModelConfig config, long seed) {
    this.config = config;
    this.layout = ModelLayout.of(config).parameters();
    this.seed = mix(seed);
  }

  /**
   * Writes the first values of a range.
   *
   * @param target float32, as many as the range has elements
   */
  public void fill(FlatRange range, MemorySegment target) {
    for (FlatLayout.Entry entry : layout.entries()) {
      long from = Math.max(entry.range().start(), range.start());
      long to = Math.min(entry.range().end(), range.end());
      if (from < to) {
        fill(entry, from, to, target.asSlice((from - range.start()) * Float.BYTES));
      }
    }
  }

  private void fill(FlatLayout.Entry entry, long from, long to, MemorySegment target) {
    boolean norm = entry.name().endsWith("norm.weight");
    double deviation = deviation(entry.name());
    for (long i = from; i < to; i++) {
      float value = norm ? 1f : (float) (deviation * normal(i));
      target.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i - from, value);
    }
  }

  private double deviation(String name) {
    boolean residual = name.endsWith("o_proj.weight") || name.endsWith("down_proj.weight");
    return residual
        ? config.initializerRange() / Math.sqrt(2.0 * config.numHiddenLayers())
        : config.initializerRange();
  }

  private double normal(long index) {
    long pair = index >> 1;
    double u = uniform(2 * pair);
    double v = uniform(2 * pair + 1);
    double radius = Math.sqrt(-2 * Math.log(1 - u));
    double angle = 2 * Math.PI * v;
    return (index & 1) == 0 ? radius * Math.cos(angle) : radius * Math.sin(angle);
  }

  /** In [0, 1), from the top 53 bits. */
  private double uniform(long counter) {
    return (mix(seed + counter * 0x9E3779B97F4A7C15L) >>> 11) * 0x1.0p-53;
  }

  /** The finaliser of SplitMix64. */
  private static long mix(long value) {
    long z = (value ^ (value >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
