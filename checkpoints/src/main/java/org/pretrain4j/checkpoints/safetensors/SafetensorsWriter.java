package org.pretrain4j.checkpoints.safetensors;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.storage.BlockChecksums;
import org.pretrain4j.checkpoints.storage.ChecksummedOutput;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;

/**
 * Writes a safetensors file from its beginning to its end: the bytes of the tensors come in the
 * order in which they were announced, in pieces of any size.
 */
public final class SafetensorsWriter implements AutoCloseable {
  private final ChecksummedOutput out;
  private final long dataStart;
  private final long expected;

  private SafetensorsWriter(ChecksummedOutput out, long dataStart, long dataBytes) {
    this.out = out;
    this.dataStart = dataStart;
    this.expected = dataStart + dataBytes;
  }

  /**
   * Creates (or empties) a file and writes the header.
   *
   * @param tensors what will be written, in this order
   */
  public static SafetensorsWriter create(
      DurableFileSystem files, Path path, List<TensorSpec> tensors, Map<String, String> metadata)
      throws IOException {
    SafetensorsHeader header = new SafetensorsHeader(tensors, metadata);
    byte[] encoded = header.encode();
    ChecksummedOutput out = files.create(path, BlockChecksums.DEFAULT_BLOCK_BYTES);
    try {
      out.write(encoded, 0, encoded.length);
    } catch (IOException | RuntimeException e) {
      out.close();
      throw e;
    }
    return new SafetensorsWriter(out, encoded.length, header.dataBytes());
  }

  /** Position of the first byte of the first tensor. */
  public long dataStart() {
    return dataStart;
  }

  /** Appends bytes of the current tensor and, when it is full, of those that follow. */
  public void write(MemorySegment values) throws IOException {
    if (out.position() + values.byteSize() > expected) {
      throw new IllegalStateException(
          "%d bytes of tensors were announced, these are %d"
              .formatted(expected - dataStart, out.position() - dataStart + values.byteSize()));
    }
    out.write(values);
  }

  /**
   * Syncs and closes the file.
   *
   * @throws IllegalStateException if fewer bytes were written than announced
   */
  public BlockChecksums finish() throws IOException {
    if (out.position() != expected) {
      throw new IllegalStateException(
          "%d bytes of tensors were announced, %d were written"
              .formatted(expected - dataStart, out.position() - dataStart));
    }
    return out.finish();
  }

  @Override
  public void close() throws IOException {
    out.close();
  }
}
