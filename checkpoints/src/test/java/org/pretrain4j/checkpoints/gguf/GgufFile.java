package org.pretrain4j.checkpoints.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A reader of GGUF that shares nothing with the writer. */
final class GgufFile {
  record Tensor(long[] dimensions, int type, float[] values) {}

  final Map<String, Object> keys = new LinkedHashMap<>();
  final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final ByteBuffer in;

  GgufFile(Path path) throws IOException {
    in = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    if (in.getInt() != 0x46554747 || in.getInt() != 3) {
      throw new IOException("no GGUF version 3");
    }
    long tensorCount = in.getLong();
    long keyCount = in.getLong();
    for (long i = 0; i < keyCount; i++) {
      String key = string();
      keys.put(key, value(in.getInt()));
    }
    record Info(String name, long[] dimensions, int type, long offset) {}
    List<Info> infos = new ArrayList<>();
    for (long i = 0; i < tensorCount; i++) {
      String name = string();
      long[] dimensions = new long[in.getInt()];
      for (int d = 0; d < dimensions.length; d++) {
        dimensions[d] = in.getLong();
      }
      infos.add(new Info(name, dimensions, in.getInt(), in.getLong()));
    }
    int start = (in.position() + 31) / 32 * 32;
    for (Info info : infos) {
      if (info.offset() % 32 != 0) {
        throw new IOException(info.name() + " is not aligned");
      }
      long elements = 1;
      for (long d : info.dimensions()) {
        elements *= d;
      }
      in.position(start + (int) info.offset());
      tensors.put(
          info.name(), new Tensor(info.dimensions(), info.type(), values(info.type(), elements)));
    }
  }

  private String string() {
    byte[] text = new byte[(int) in.getLong()];
    in.get(text);
    return new String(text, StandardCharsets.UTF_8);
  }

  private Object value(int type) throws IOException {
    switch (type) {
      case 4, 5:
        return in.getInt();
      case 6:
        return in.getFloat();
      case 7:
        return in.get() == 1;
      case 8:
        return string();
      case 9:
        int of = in.getInt();
        long count = in.getLong();
        List<Object> array = new ArrayList<>();
        for (long i = 0; i < count; i++) {
          array.add(value(of));
        }
        return array;
      default:
        throw new IOException("unexpected type " + type);
    }
  }

  private float[] values(int type, long elements) throws IOException {
    float[] values = new float[(int) elements];
    float scale = 0;
    for (int i = 0; i < values.length; i++) {
      switch (type) {
        case 0 -> values[i] = in.getFloat();
        case 1 -> values[i] = Float.float16ToFloat(in.getShort());
        case 30 -> values[i] = Float.intBitsToFloat(in.getShort() << 16);
        case 8 -> {
          if (i % 32 == 0) {
            scale = Float.float16ToFloat(in.getShort());
          }
          values[i] = scale * in.get();
        }
        default -> throw new IOException("unexpected tensor type " + type);
      }
    }
    return values;
  }
}
