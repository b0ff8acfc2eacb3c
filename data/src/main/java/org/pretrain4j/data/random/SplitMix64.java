package org.pretrain4j.data.random;

import java.nio.charset.StandardCharsets;

/**
 * The SplitMix64 generator (Steele, Lea and Flood, "Fast splittable pseudorandom number
 * generators", 2014). Not thread-safe.
 */
public final class SplitMix64 {
  private static final long GAMMA = 0x9E3779B97F4A7C15L;

  private long state;

  private SplitMix64(long state) {
    this.state = state;
  }

  /** A generator for one place in a run: the same numbers for the same list of keys. */
  public static SplitMix64 of(long... keys) {
    long state = GAMMA;
    for (long key : keys) {
      state = mix(state + GAMMA ^ mix(key + GAMMA));
    }
    return new SplitMix64(state);
  }

  /** A key from a name (64-bit FNV-1a, then mixed). */
  public static long key(String name) {
    long hash = 0xcbf29ce484222325L;
    for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    return mix(hash);
  }

  public static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  public long nextLong() {
    state += GAMMA;
    return mix(state);
  }

  /** Uniform in [0, bound); without bias, by Lemire's rejection. */
  public int nextInt(int bound) {
    if (bound <= 0) {
      throw new IllegalArgumentException("bound " + bound);
    }
    while (true) {
      long product = (nextLong() >>> 32) * bound;
      long low = product & 0xffffffffL;
      if (low >= bound || low >= (1L << 32) % bound) {
        return (int) (product >>> 32);
      }
    }
  }

  /** Uniform in [from, to], both included. */
  public int between(int from, int to) {
    return from + nextInt(to - from + 1);
  }

  /** A uniform permutation of 0 .. n-1 (Fisher and Yates). */
  public int[] permutation(int n) {
    int[] order = new int[n];
    for (int i = 0; i < n; i++) {
      int j = nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }
}
