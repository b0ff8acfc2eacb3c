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
  private final short[] halves;

  /** Scratch for one thread, for buffers of at least this many elements. */
  public RankSum(ElementType type, long elements) {
    int block = (int) Math.min(BLOCK, elements);
    total = new float[block];
    next = new float[block];
    bits = new int[type == ElementType.BFLOAT16 ? block : 0];
    halves = new short[type == ElementType.BFLOAT16 ? block : 0];
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
      load(inputs[0], inputOffset + done, block, total);
      for (int rank = 1; rank < inputs.length; rank++) {
        load(inputs[rank], inputOffset + done, block, next);
        switch (reduction) {
          case SUM -> add(total, next, block);
          case MAX -> max(total, next, block);
        }
      }
      if (outputs[0].type() == ElementType.BFLOAT16) {
        round(total, halves, block);
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
        MemorySegment.copy(source, ValueLayout.JAVA_SHORT, offset * 2, halves, 0, count);
        widen(halves, bits, count);
        // The copy reinterprets the bits: a loop of Float.intBitsToFloat is not vectorised.
        MemorySegment.copy(
            MemorySegment.ofArray(bits), 0, MemorySegment.ofArray(into), 0, count * 4L);
      }
    }
  }

  private void store(FlatBuffer into, long offset, int count) {
    MemorySegment target = into.segment();
    switch (into.type()) {
      case FLOAT32 ->
          MemorySegment.copy(total, 0, target, ValueLayout.JAVA_FLOAT, offset * 4, count);
      case BFLOAT16 ->
          MemorySegment.copy(halves, 0, target, ValueLayout.JAVA_SHORT, offset * 2, count);
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

  private static void widen(short[] halves, int[] bits, int count) {
    for (int i = 0; i < count; i++) {
      bits[i] = halves[i] << 16;
    }
  }

  /** To the nearest bfloat16, ties to even; a NaN stays one. */
  private void round(float[] values, short[] into, int count) {
    MemorySegment.copy(
        MemorySegment.ofArray(values), 0, MemorySegment.ofArray(bits), 0, count * 4L);
    for (int i = 0; i < count; i++) {
      int bit = bits[i];
      int rounded = bit + 0x7FFF + ((bit >>> 16) & 1);
      int quiet = bit | 0x400000;
      into[i] = (short) (((bit & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded) >>> 16);
    }
  }
}
