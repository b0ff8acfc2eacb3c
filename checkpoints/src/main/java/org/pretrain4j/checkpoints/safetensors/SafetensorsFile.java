package org.pretrain4j.checkpoints.safetensors;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.UserException;

/** A safetensors file that is open for reading. Positioned reads may come from several threads. */
public final class SafetensorsFile implements AutoCloseable {
  private static final int PIECE_BYTES = 1 << 20;

  private final Path path;
  private final FSDataInputStream in;
  private final SafetensorsHeader header;
  private final Map<String, TensorSpec> tensors = new LinkedHashMap<>();
  private final Map<String, Long> positions = new LinkedHashMap<>();

  private SafetensorsFile(
      Path path, FSDataInputStream in, SafetensorsHeader header, long dataStart) {
    this.path = path;
    this.in = in;
    this.header = header;
    long position = dataStart;
    for (TensorSpec tensor : header.tensors()) {
      tensors.put(tensor.name(), tensor);
      positions.put(tensor.name(), position);
      position += tensor.bytes();
    }
  }

  /**
   * Opens a file and checks its header against its size.
   *
   * @throws UserException in one line, if it is no complete and consistent safetensors file
   * @throws IOException if it can't be read
   */
  public static SafetensorsFile open(DurableFileSystem files, Path path) throws IOException {
    long length = files.length(path);
    String source = path.toString();
    if (length < SafetensorsHeader.LENGTH_BYTES) {
      throw new UserException(
          "%s is no complete safetensors file: it has only %d bytes".formatted(source, length));
    }
    FSDataInputStream in = files.open(path);
    try {
      byte[] prefix = new byte[SafetensorsHeader.LENGTH_BYTES];
      in.readFully(0, prefix);
      byte[] json = new byte[SafetensorsHeader.jsonBytes(source, prefix, length)];
      in.readFully(SafetensorsHeader.LENGTH_BYTES, json);
      long dataStart = SafetensorsHeader.LENGTH_BYTES + json.length;
      return new SafetensorsFile(
          path, in, SafetensorsHeader.parse(source, json, length - dataStart), dataStart);
    } catch (FSError e) {
      in.close();
      throw new IOException(e.getMessage(), e);
    } catch (IOException | RuntimeException e) {
      in.close();
      throw e;
    }
  }

  /** The tensors by name, in the order of their bytes. */
  public Map<String, TensorSpec> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  /** The free-form text of the header. */
  public Map<String, String> metadata() {
    return header.metadata();
  }

  /** The tensor of a name. */
  public TensorSpec tensor(String name) {
    TensorSpec tensor = tensors.get(name);
    if (tensor == null) {
      throw new UserException(path + " has no tensor " + name);
    }
    return tensor;
  }

  /**
   * Fills a piece of memory with bytes of a tensor, little-endian as in the file.
   *
   * @param name the tensor
   * @param from first byte, counted from the beginning of the tensor
   */
  public void read(String name, long from, MemorySegment into) throws IOException {
    TensorSpec tensor = tensor(name);
    if (from < 0 || from + into.byteSize() > tensor.bytes()) {
      throw new IllegalArgumentException(
          "bytes %d to %d of %s, which has %d"
              .formatted(from, from + into.byteSize(), name, tensor.bytes()));
    }
    byte[] piece = new byte[(int) Math.min(PIECE_BYTES, into.byteSize())];
    long done = 0;
    while (done < into.byteSize()) {
      int length = (int) Math.min(piece.length, into.byteSize() - done);
      try {
        in.readFully(positions.get(name) + from + done, piece, 0, length);
      } catch (FSError e) {
        throw new IOException(path + ": " + e.getMessage(), e);
      }
      MemorySegment.copy(piece, 0, into, ValueLayout.JAVA_BYTE, done, length);
      done += length;
    }
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
