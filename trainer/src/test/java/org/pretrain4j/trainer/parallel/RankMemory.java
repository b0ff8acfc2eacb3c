package org.pretrain4j.trainer.parallel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Native buffers of floats for tests. */
final class RankMemory {
  private RankMemory() {}

  static FlatBuffer buffer(Arena arena, ElementType type, float... values) {
    MemorySegment segment = arena.allocate(Math.max(1, (long) values.length * type.bytes()), 64);
    FlatBuffer buffer = new FlatBuffer(segment.address(), values.length, type);
    for (int i = 0; i < values.length; i++) {
      set(buffer, i, values[i]);
    }
    return buffer;
  }

  static void set(FlatBuffer buffer, int index, float value) {
    if (buffer.type() == ElementType.FLOAT32) {
      buffer.segment().setAtIndex(ValueLayout.JAVA_FLOAT, index, value);
    } else {
      buffer.segment().setAtIndex(ValueLayout.JAVA_SHORT, index, toBfloat16(value));
    }
  }

  static float[] values(FlatBuffer buffer) {
    float[] values = new float[(int) buffer.elements()];
    MemorySegment segment = buffer.segment();
    for (int i = 0; i < values.length; i++) {
      values[i] =
          buffer.type() == ElementType.FLOAT32
              ? segment.getAtIndex(ValueLayout.JAVA_FLOAT, i)
              : Float.intBitsToFloat(segment.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
    }
    return values;
  }

  /** The nearest bfloat16 by comparing both neighbours: another way than the code under test. */
  static short toBfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits | 0x400000) >>> 16);
    }
    int low = bits & 0xFFFF0000;
    int high = low + 0x10000;
    double below = Math.abs((double) value - Float.intBitsToFloat(low));
    double above = Math.abs((double) Float.intBitsToFloat(high) - (double) value);
    if (Float.isInfinite(Float.intBitsToFloat(high)) && !Float.isInfinite(value)) {
      above = Math.abs(0x1p128 - Math.abs((double) value)); // where the next number would be
    }
    boolean down = below < above || (below == above && (low & 0x10000) == 0);
    return (short) ((down ? low : high) >>> 16);
  }

  static float rounded(ElementType type, float value) {
    return type == ElementType.FLOAT32 ? value : Float.intBitsToFloat(toBfloat16(value) << 16);
  }
}
