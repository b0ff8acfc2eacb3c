package org.pretrain4j.checkpoints.tensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.pretrain4j.checkpoints.safetensors.DType;

class RoundingTest {
  @Test
  void bfloat16IsTheNearestAndTiesGoToEven() {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int i = 0; i < 200_000; i++) {
      // A third of them lie exactly between two.
      int bits = i % 3 == 0 ? random.nextInt() & 0xffff0000 | 0x8000 : random.nextInt();
      float value = Float.intBitsToFloat(bits);
      short rounded = Rounding.toBfloat16(value);
      if (Float.isNaN(value)) {
        assertTrue(Float.isNaN(Rounding.fromBfloat16(rounded)));
      } else if (Math.abs(value) < 3.3e38) {
        assertEquals(nearest(value), rounded, "of " + Integer.toHexString(bits));
      }
    }
    assertEquals((short) 0x7f80, Rounding.toBfloat16(Float.MAX_VALUE));
    assertEquals((short) 0xff80, Rounding.toBfloat16(Float.NEGATIVE_INFINITY));
    assertEquals((short) 0x8000, Rounding.toBfloat16(-0f));
    assertTrue(
        Float.isNaN(Rounding.fromBfloat16(Rounding.toBfloat16(Float.intBitsToFloat(0x7f800001)))));
  }

  /** By comparing distances in float64, where all of these are exact. */
  private static short nearest(float value) {
    int below = Float.floatToRawIntBits(value) >>> 16;
    double down = Math.abs((double) value - Float.intBitsToFloat(below << 16));
    double up = Math.abs((double) Float.intBitsToFloat(below + 1 << 16) - value);
    boolean even = (below & 1) == 0;
    return (short) (down < up || (down == up && even) ? below : below + 1);
  }

  @Test
  void whatIsStoredIsReadBackAsTheSameValue() {
    float[] values = {0f, -0f, 1f, -2.5f, 65504f, 1e-7f, Float.POSITIVE_INFINITY, 0.1f};
    for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
      MemorySegment stored = MemorySegment.ofArray(new byte[values.length * dtype.bytes()]);
      float[] once = new float[values.length];
      float[] twice = new float[values.length];
      Rounding.encode(values, values.length, dtype, stored);
      Rounding.decode(stored, dtype, once, values.length);
      Rounding.encode(once, values.length, dtype, stored);
      Rounding.decode(stored, dtype, twice, values.length);
      for (int i = 0; i < values.length; i++) {
        assertEquals(Float.floatToRawIntBits(once[i]), Float.floatToRawIntBits(twice[i]));
        assertEquals(values[i], once[i], Math.abs(values[i]) * 0.004 + 1e-7);
      }
    }
  }
}
