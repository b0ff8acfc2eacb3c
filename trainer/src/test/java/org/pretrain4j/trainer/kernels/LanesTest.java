package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

class LanesTest {
  @Test
  void storesTheNearestBfloat16AndOfTwoTheEvenOne() {
    int[] bits = {
      0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0x3f817fff, // around two ties
      0xbf808000, 0xbf818000, 0x00000001, 0x00008000, 0x80018000, // negative, subnormal, -0
      0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7f7f7fff, // overflow to infinity, infinity
      0x7fc00000, 0x7f800001, 0xffffffff, 0x7fffffff, 0x00000000 // NaNs stay NaN
    };
    Random random = new Random(3);
    int count = 64 * Lanes.COUNT;
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = Float.intBitsToFloat(i < bits.length ? bits[i] : random.nextInt());
    }
    MemorySegment stored = OffHeap.bfloat16((long) count);
    for (int i = 0; i < count; i += Lanes.COUNT) {
      Lanes.storeBfloat16(Lanes.load(OffHeap.floats(values), i), stored, i);
    }
    for (int i = 0; i < count; i++) {
      assertEquals(
          OffHeap.toBfloat16(values[i]),
          stored.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i),
          Integer.toHexString(Float.floatToRawIntBits(values[i])));
    }
  }

  @Test
  void loadsEveryBfloat16() {
    MemorySegment all = OffHeap.bfloat16(65_536L);
    MemorySegment floats = OffHeap.floats(65_536L);
    for (int i = 0; i < 65_536; i++) {
      all.setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i, (short) i);
    }
    for (int i = 0; i < 65_536; i += Lanes.COUNT) {
      Lanes.store(Lanes.loadBfloat16(all, i), floats, i);
    }
    assertArrayEquals(OffHeap.fromBfloat16(all), OffHeap.toFloats(floats));
  }

  @Test
  void aMaskKeepsLoadsAndStoresInsideTheMemory() {
    int count = Lanes.COUNT - 1;
    float[] values = OffHeap.gaussian(new Random(4), count, 1);
    var mask = Lanes.FLOATS.indexInRange(0, count);
    MemorySegment floats = OffHeap.floats((long) count);
    Lanes.store(Lanes.load(OffHeap.floats(values), 0, mask), floats, 0, mask);
    assertArrayEquals(values, OffHeap.toFloats(floats));
    MemorySegment halves = OffHeap.bfloat16((long) count);
    Lanes.storeBfloat16(Lanes.loadBfloat16(OffHeap.bfloat16(values), 0, mask), halves, 0, mask);
    for (int i = 0; i < count; i++) {
      assertEquals(OffHeap.rounded(values[i]), OffHeap.fromBfloat16(halves)[i]);
    }
  }
}
