package org.pretrain4j.trainer.parallel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Reduces the buffers of all ranks, block by block, in the order of ranks. The order never depends
 * on who comes first or on how the work is split, so that equal inputs give equal bits. Blocks are
 * copied to arrays that stay in the first-level cache: plain loops over arrays become vector
 * instructions, loops over native segments often do not.
 */
public final class RankSum {
  /** Elements of a block: three arrays of them fit in 48 KB of first-level cache. */
  static final int BLOCK = 2048;

  private final float[] total;
  private final float[] next;
  private final int[] bits;
  private final int[] pairs;

  /** Scratch for one thread, for buffers of at least this many elements. */
  public RankSum(ElementType type, long elements) {
    int block = (int) Math.min(BLOCK, elements + elements % 2);
    total = new float[block];
    next = new float[block];
    bits = new int[type == ElementType.BFLOAT16 ? block : 0];
    pairs = new int[type == ElementType.BFLOAT16 ? block / 2 : 0];
  }

  /**
   * Reduces {@code count} elements of each input and stores them in each output.
   *
   * @param inputs one for each rank, from {@code inputOffset} on
   * @param outputs where the result goes, from {@code outputOffset} on
   */
  public void reduce(
      FlatBuffer[] inputs,
      long inputOffset,
      FlatBuffer[] outputs,
      long outputOffset,
      long count,
      Reduction reduction) {
    for (long done = 0; done < count; done += total.length) {
      int block = (int) Math.min(total.length, count - done);
      int span = inputs[0].type() == ElementType.BFLOAT16 ? total.length : block;
      load(inputs[0], inputOffset + done, block, total);
      for (int rank = 1; rank < inputs.length; rank++) {
        load(inputs[rank], inputOffset + done, block, next);
        switch (reduction) {
          case SUM -> add(total, next, span);
          case MAX -> max(total, next, span);
        }
      }
      if (outputs[0].type() == ElementType.BFLOAT16) {
        round(block);
      }
      for (FlatBuffer output : outputs) {
        store(output, outputOffset + done, block);
      }
    }
  }

  private void load(FlatBuffer from, long offset, int count, float[] into) {
    MemorySegment source = from.segment();
    switch (from.type()) {
      case FLOAT32 ->
          MemorySegment.copy(source, ValueLayout.JAVA_FLOAT, offset * 4, into, 0, count);
      case BFLOAT16 -> {
        MemorySegment.copy(source, offset * 2, MemorySegment.ofArray(pairs), 0, count * 2L);
        widen(pairs, bits, (count + 1) / 2);
        // The copy reinterprets the bits: a loop of Float.intBitsToFloat is not vectorised.
        MemorySegment.copy(
            MemorySegment.ofArray(bits), 0, MemorySegment.ofArray(into), 0, into.length * 4L);
      }
    }
  }

  private void store(FlatBuffer into, long offset, int count) {
    MemorySegment target = into.segment();
    switch (into.type()) {
      case FLOAT32 ->
          MemorySegment.copy(total, 0, target, ValueLayout.JAVA_FLOAT, offset * 4, count);
      case BFLOAT16 ->
          MemorySegment.copy(MemorySegment.ofArray(pairs), 0, target, offset * 2, count * 2L);
    }
  }

  private static void add(float[] total, float[] next, int count) {
    for (int i = 0; i < count; i++) {
      total[i] += next[i];
    }
  }

  private static void max(float[] total, float[] next, int count) {
    for (int i = 0; i < count; i++) {
      total[i] = Math.max(total[i], next[i]);
    }
  }

  /**
   * The float32 bits of bfloat16 elements, those at even places in the lower half of {@code bits},
   * those at odd places in the upper. Two at a time in an int, since loops over shorts are not
   * vectorised well.
   */
  private static void widen(int[] pairs, int[] bits, int count) {
    int odd = bits.length / 2;
    for (int i = 0; i < count; i++) {
      bits[i] = pairs[i] << 16;
    }
    for (int i = 0; i < count; i++) {
      bits[odd + i] = pairs[i] & 0xFFFF0000;
    }
  }

  /** The total as pairs of the nearest bfloat16, ties to even; a NaN stays one. */
  private void round(int count) {
    MemorySegment.copy(
        MemorySegment.ofArray(total), 0, MemorySegment.ofArray(bits), 0, total.length * 4L);
    round(bits, bits.length);
    merge(bits, pairs, (count + 1) / 2);
  }

  private static void round(int[] bits, int count) {
    for (int i = 0; i < count; i++) {
      int bit = bits[i];
      int rounded = bit + 0x7FFF + ((bit >>> 16) & 1);
      int nan = (0x7F800000 - (bit & 0x7FFFFFFF)) >> 31; // all ones for a NaN: no branch
      bits[i] = (rounded & ~nan) | ((bit | 0x400000) & nan);
    }
  }

  private static void merge(int[] bits, int[] pairs, int count) {
    int odd = bits.length / 2;
    for (int i = 0; i < count; i++) {
      pairs[i] = (bits[i] >>> 16) | (bits[odd + i] & 0xFFFF0000);
    }
  }
}
