package org.pretrain4j.checkpoints.gguf;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.configuration.UserException;

/**
 * Where the tensors of a GGUF file lie. The keys are passed over.
 *
 * @param tensors by their names in the file
 */
record GgufIndex(Map<String, Stored> tensors) {
  private static final int MAGIC = 0x46554747;
  private static final int VERSION = 3;

  /** Sizes of the numbers of the format by their type; 0 for text and lists. */
  private static final int[] WIDTHS = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

  private static final int TEXT = 8;
  private static final int LIST = 9;

  /**
   * A tensor.
   *
   * @param shape its sizes, outermost first
   * @param position of its first byte in the file
   */
  record Stored(List<Long> shape, GgufType type, long position) {}

  /**
   * Reads the part before the tensors.
   *
   * @param source name of the file, for messages
   * @param fileBytes size of the file
   * @throws UserException if it is no complete GGUF file of types that are known
   */
  static GgufIndex read(String source, InputStream content, long fileBytes) throws IOException {
    Header in =
        new Header(source, new DataInputStream(new BufferedInputStream(content)), fileBytes);
    if (in.int32() != MAGIC || in.int32() != VERSION) {
      throw new UserException(source + " is no GGUF file of version " + VERSION);
    }
    long tensorCount = in.int64();
    long keyCount = in.int64();
    for (long key = 0; key < keyCount; key++) {
      in.text();
      in.skipValue(in.int32());
    }
    Map<String, Stored> relative = new LinkedHashMap<>();
    for (long i = 0; i < tensorCount; i++) {
      String name = in.text();
      if (relative.put(name, in.tensor()) != null) {
        throw new UserException(source + " holds the tensor " + name + " twice");
      }
    }
    long start = Math.ceilDiv(in.read, (long) GgufHeader.ALIGNMENT) * GgufHeader.ALIGNMENT;
    Map<String, Stored> tensors = new LinkedHashMap<>();
    relative.forEach(
        (name, tensor) -> {
          Stored placed = new Stored(tensor.shape(), tensor.type(), start + tensor.position());
          long elements = tensor.shape().stream().reduce(1L, Math::multiplyExact);
          if (placed.position() + tensor.type().bytes(elements) > fileBytes) {
            throw new UserException(
                "%s ends at byte %d, before the end of its tensor %s"
                    .formatted(source, fileBytes, name));
          }
          tensors.put(name, placed);
        });
    return new GgufIndex(tensors);
  }

  /** Little-endian values one after the other, counted. */
  private static final class Header {
    private final String source;
    private final DataInputStream in;
    private final long fileBytes;
    private long read;

    Header(String source, DataInputStream in, long fileBytes) {
      this.source = source;
      this.in = in;
      this.fileBytes = fileBytes;
    }

    int int32() throws IOException {
      read += Integer.BYTES;
      return Integer.reverseBytes(in.readInt());
    }

    long int64() throws IOException {
      read += Long.BYTES;
      return Long.reverseBytes(in.readLong());
    }

    String text() throws IOException {
      byte[] text = new byte[(int) requireInside(int64(), 1)];
      in.readFully(text);
      read += text.length;
      return new String(text, StandardCharsets.UTF_8);
    }

    private long requireInside(long count, long width) {
      if (count < 0 || count > (fileBytes - read) / width || count > Integer.MAX_VALUE) {
        throw new UserException(
            "%s is damaged: at byte %d it claims %s more values than it can hold"
                .formatted(source, read, Long.toUnsignedString(count)));
      }
      return count;
    }

    void skipValue(int type) throws IOException {
      if (type == TEXT) {
        text();
      } else if (type == LIST) {
        int of = int32();
        long count = requireInside(int64(), 1);
        for (long i = 0; i < count; i++) {
          skipValue(of);
        }
      } else {
        if (type < 0 || type >= WIDTHS.length) {
          throw new UserException(source + " is damaged: it has a key of type " + type);
        }
        in.skipNBytes(WIDTHS[type]);
        read += WIDTHS[type];
      }
    }

    Stored tensor() throws IOException {
      int dimensions = int32();
      if (dimensions < 1 || dimensions > 4) {
        throw new UserException(
            "%s is damaged: it has a tensor of %d dimensions".formatted(source, dimensions));
      }
      List<Long> shape = new ArrayList<>();
      for (int i = 0; i < dimensions; i++) {
        shape.addFirst(int64()); // Innermost first.
      }
      int id = int32();
      GgufType type =
          GgufType.of(id)
              .orElseThrow(() -> new UserException(source + " has a tensor of type " + id));
      return new Stored(List.copyOf(shape), type, int64());
    }
  }
}
