package org.pretrain4j.checkpoints.gguf;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.tensors.Rounding;

/** The types of tensors that are written, with their numbers in the file format. */
public enum GgufType {
  F32(0, 0, 1, 4),
  F16(1, 1, 1, 2),
  BF16(30, 32, 1, 2),
  /** 8-bit integers in blocks of 32 with one f16 scale each. */
  Q8_0(8, 7, 32, 34);

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final int id;
  private final int fileType;
  private final int blockElements;
  private final int blockBytes;

  GgufType(int id, int fileType, int blockElements, int blockBytes) {
    this.id = id;
    this.fileType = fileType;
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
  }

  /** Number of the type of a tensor. */
  int id() {
    return id;
  }

  /** Number for a file most of whose tensors have this type. */
  int fileType() {
    return fileType;
  }

  /** Elements that can only be written together. */
  int blockElements() {
    return blockElements;
  }

  /** Size of a number of elements in bytes. */
  long bytes(long elements) {
    return elements / blockElements * blockBytes;
  }

  /** Rounds values into their stored form. */
  void encode(float[] values, int length, MemorySegment into) {
    switch (this) {
      case F32 -> Rounding.encode(values, length, DType.F32, into);
      case F16 -> Rounding.encode(values, length, DType.F16, into);
      case BF16 -> Rounding.encode(values, length, DType.BF16, into);
      case Q8_0 -> {
        for (int block = 0; block < length / 32; block++) {
          quantize(values, 32 * block, into.asSlice(34L * block, 34));
        }
      }
    }
  }

  /**
   * The type of a number in the file format.
   *
   * @return empty if it is none of these
   */
  static Optional<GgufType> of(int id) {
    return Arrays.stream(values()).filter(type -> type.id == id).findFirst();
  }

  /** Widens stored values; exact but for the product of an integer and its scale. */
  void decode(MemorySegment from, float[] values, int length) {
    switch (this) {
      case F32 -> Rounding.decode(from, DType.F32, values, length);
      case F16 -> Rounding.decode(from, DType.F16, values, length);
      case BF16 -> Rounding.decode(from, DType.BF16, values, length);
      case Q8_0 -> {
        for (int i = 0; i < length; i++) {
          long block = 34L * (i / 32);
          float scale = Float.float16ToFloat(from.get(SHORT, block));
          values[i] = scale * from.get(ValueLayout.JAVA_BYTE, block + 2 + i % 32);
        }
      }
    }
  }

  /** The largest magnitude becomes 127; halves are rounded away from zero, as ggml does. */
  private static void quantize(float[] values, int from, MemorySegment block) {
    float largest = 0;
    for (int i = 0; i < 32; i++) {
      largest = Math.max(largest, Math.abs(values[from + i]));
    }
    float scale = largest / 127;
    float inverse = scale == 0 ? 0 : 1 / scale;
    block.set(SHORT, 0, Float.floatToFloat16(scale));
    for (int i = 0; i < 32; i++) {
      float scaled = values[from + i] * inverse;
      int rounded = (int) Math.copySign(Math.floor(Math.abs(scaled) + 0.5f), scaled);
      block.set(ValueLayout.JAVA_BYTE, 2 + i, (byte) Math.clamp(rounded, -127, 127));
    }
  }
}
