package org.pretrain4j.checkpoints.tensors;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.pretrain4j.checkpoints.safetensors.DType;

/** Conversion between fp32 and the stored floating-point types, little-endian. */
public final class Rounding {
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Rounding() {}

  /** The nearest bfloat16, ties to even; a value that is not a number stays one. */
  public static short toBfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) (bits >>> 16 | 0x40); // The cut must not make it an infinity.
    }
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  /** The same value as fp32. */
  public static float fromBfloat16(short value) {
    return Float.intBitsToFloat(value << 16);
  }

  /** Whether tensors of this type can be read and written as fp32. */
  public static boolean isFloat(DType dtype) {
    return dtype == DType.F32 || dtype == DType.BF16 || dtype == DType.F16;
  }

  /**
   * Rounds values, each once, to nearest, ties to even.
   *
   * @param dtype F32, BF16 or F16
   * @param into as many elements of that type
   */
  public static void encode(float[] values, int length, DType dtype, MemorySegment into) {
    switch (dtype) {
      case F32 -> MemorySegment.copy(values, 0, into, FLOAT, 0, length);
      case BF16 -> {
        for (int i = 0; i < length; i++) {
          into.set(SHORT, 2L * i, toBfloat16(values[i]));
        }
      }
      case F16 -> {
        for (int i = 0; i < length; i++) {
          into.set(SHORT, 2L * i, Float.floatToFloat16(values[i]));
        }
      }
      default -> throw new IllegalArgumentException(dtype + " is no type for weights");
    }
  }

  /**
   * Widens values; exact.
   *
   * @param dtype F32, BF16 or F16
   */
  public static void decode(MemorySegment from, DType dtype, float[] values, int length) {
    switch (dtype) {
      case F32 -> MemorySegment.copy(from, FLOAT, 0, values, 0, length);
      case BF16 -> {
        for (int i = 0; i < length; i++) {
          values[i] = fromBfloat16(from.get(SHORT, 2L * i));
        }
      }
      case F16 -> {
        for (int i = 0; i < length; i++) {
          values[i] = Float.float16ToFloat(from.get(SHORT, 2L * i));
        }
      }
      default -> throw new IllegalArgumentException(dtype + " is no type for weights");
    }
  }
}
