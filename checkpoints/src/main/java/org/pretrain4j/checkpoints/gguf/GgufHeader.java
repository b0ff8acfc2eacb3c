package org.pretrain4j.checkpoints.gguf;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The part of a GGUF file (version 3, little-endian) before the tensors: keys with values, then
 * name, shape, type and position of each tensor.
 */
final class GgufHeader {
  /** Each tensor begins at a multiple of this many bytes, counted from the first one. */
  static final int ALIGNMENT = 32;

  private static final int VERSION = 3;
  private static final int UINT32 = 4;
  private static final int INT32 = 5;
  private static final int FLOAT32 = 6;
  private static final int BOOL = 7;
  private static final int STRING = 8;
  private static final int ARRAY = 9;

  private final Little keys = new Little();
  private int keyCount;
  private final List<GgufTensor> tensors = new ArrayList<>();

  /**
   * A tensor of the file.
   *
   * @param name its name in the file
   * @param source its name in the model
   * @param shape its sizes, outermost first
   * @param type how it is stored
   * @param rotatedHeads number of heads whose rows change order; 0 for none
   */
  record GgufTensor(String name, String source, List<Long> shape, GgufType type, int rotatedHeads) {
    long elements() {
      return shape.stream().reduce(1L, Math::multiplyExact);
    }

    long bytes() {
      return type.bytes(elements());
    }

    long paddedBytes() {
      return Math.ceilDiv(bytes(), (long) ALIGNMENT) * ALIGNMENT;
    }
  }

  GgufHeader putString(String key, String value) {
    key(key, STRING).string(value);
    return this;
  }

  GgufHeader putInt(String key, long value) {
    key(key, UINT32).int32((int) value);
    return this;
  }

  GgufHeader putFloat(String key, double value) {
    key(key, FLOAT32).int32(Float.floatToRawIntBits((float) value));
    return this;
  }

  GgufHeader putBoolean(String key, boolean value) {
    key(key, BOOL).int8(value ? 1 : 0);
    return this;
  }

  GgufHeader putStrings(String key, List<String> values) {
    key(key, ARRAY).int32(STRING).int64(values.size());
    values.forEach(keys::string);
    return this;
  }

  GgufHeader putInts(String key, List<Integer> values) {
    key(key, ARRAY).int32(INT32).int64(values.size());
    values.forEach(keys::int32);
    return this;
  }

  private Little key(String key, int type) {
    keyCount++;
    return keys.string(key).int32(type);
  }

  void add(GgufTensor tensor) {
    tensors.add(tensor);
  }

  List<GgufTensor> tensors() {
    return tensors;
  }

  /** All of it, padded so that the first tensor can follow. */
  byte[] encode() {
    Little out = new Little();
    out.bytes("GGUF".getBytes(StandardCharsets.US_ASCII)).int32(VERSION);
    out.int64(tensors.size()).int64(keyCount).bytes(keys.toByteArray());
    long offset = 0;
    for (GgufTensor tensor : tensors) {
      out.string(tensor.name()).int32(tensor.shape().size());
      tensor.shape().reversed().forEach(out::int64); // Innermost first.
      out.int32(tensor.type().id()).int64(offset);
      offset += tensor.paddedBytes();
    }
    out.bytes(new byte[Math.ceilDiv(out.size(), ALIGNMENT) * ALIGNMENT - out.size()]);
    return out.toByteArray();
  }

  /** Appends little-endian numbers and counted strings. */
  private static final class Little {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Little int8(int value) {
      out.write(value);
      return this;
    }

    Little int32(int value) {
      return bytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array());
    }

    Little int64(long value) {
      return bytes(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
    }

    Little string(String value) {
      byte[] text = value.getBytes(StandardCharsets.UTF_8);
      return int64(text.length).bytes(text);
    }

    Little bytes(byte[] value) {
      out.writeBytes(value);
      return this;
    }

    int size() {
      return out.size();
    }

    byte[] toByteArray() {
      return out.toByteArray();
    }
  }
}
