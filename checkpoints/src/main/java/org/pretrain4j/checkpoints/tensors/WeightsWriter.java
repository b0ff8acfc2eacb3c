package org.pretrain4j.checkpoints.tensors;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.SafetensorsWriter;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.UserException;

/** Writes tensors as a folder in the Hugging Face convention, a few megabytes at a time. */
public final class WeightsWriter {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int PIECE_ELEMENTS = 1 << 20;

  private final DurableFileSystem files;
  private final DType dtype;
  private final long maxFileBytes;

  /**
   * A writer of one type of files.
   *
   * @param dtype F32, BF16 or F16; each value is rounded once
   * @param maxFileBytes a file gets no further tensor that would make it larger
   */
  public WeightsWriter(DurableFileSystem files, DType dtype, long maxFileBytes) {
    if (!Rounding.isFloat(dtype)) {
      throw new UserException("weights can be written as F32, BF16 or F16, not as " + dtype);
    }
    this.files = files;
    this.dtype = dtype;
    this.maxFileBytes = maxFileBytes;
  }

  /**
   * Writes all tensors of a source in their order, then reads them back and compares.
   *
   * @throws IOException if they can't be written
   * @throws IllegalStateException if what is read back is not what was written
   */
  public void write(TensorSource source, Path folder) throws IOException {
    List<List<TensorSpec>> groups = group(source.tensors());
    ObjectNode index = JSON.createObjectNode();
    long total = groups.stream().flatMap(List::stream).mapToLong(TensorSpec::bytes).sum();
    index.putObject("metadata").put("total_size", total);
    ObjectNode weightMap = index.putObject("weight_map");
    for (int file = 0; file < groups.size(); file++) {
      String name =
          groups.size() == 1
              ? SafetensorsFolder.SINGLE_FILE
              : "model-%05d-of-%05d.safetensors".formatted(file + 1, groups.size());
      writeFile(source, groups.get(file), new Path(folder, name));
      groups.get(file).forEach(tensor -> weightMap.put(tensor.name(), name));
    }
    if (groups.size() > 1) {
      byte[] json = JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(index);
      files.write(new Path(folder, SafetensorsFolder.INDEX_FILE), json);
    }
    compare(source, folder);
  }

  private List<List<TensorSpec>> group(List<TensorSpec> tensors) {
    List<List<TensorSpec>> groups = new ArrayList<>(List.of(new ArrayList<>()));
    long bytes = 0;
    for (TensorSpec tensor : tensors) {
      TensorSpec rounded = new TensorSpec(tensor.name(), dtype, tensor.shape());
      if (bytes > 0 && bytes + rounded.bytes() > maxFileBytes) {
        groups.add(new ArrayList<>());
        bytes = 0;
      }
      groups.getLast().add(rounded);
      bytes += rounded.bytes();
    }
    return groups;
  }

  private void writeFile(TensorSource source, List<TensorSpec> tensors, Path path)
      throws IOException {
    float[] values = new float[PIECE_ELEMENTS];
    MemorySegment encoded = MemorySegment.ofArray(new byte[PIECE_ELEMENTS * dtype.bytes()]);
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(files, path, tensors, Map.of("format", "pt"))) {
      for (TensorSpec tensor : tensors) {
        long elements = tensor.elements();
        for (long from = 0; from < elements; from += PIECE_ELEMENTS) {
          int length = (int) Math.min(PIECE_ELEMENTS, elements - from);
          source.read(tensor.name(), from, values, length);
          Rounding.encode(values, length, dtype, encoded);
          writer.write(encoded.asSlice(0, (long) length * dtype.bytes()));
        }
      }
      writer.finish();
    }
  }

  private void compare(TensorSource source, Path folder) {
    float[] expected = new float[PIECE_ELEMENTS];
    float[] actual = new float[PIECE_ELEMENTS];
    MemorySegment encoded = MemorySegment.ofArray(new byte[PIECE_ELEMENTS * dtype.bytes()]);
    try (SafetensorsFolder written = SafetensorsFolder.open(files, folder)) {
      for (TensorSpec tensor : source.tensors()) {
        long elements = tensor.elements();
        for (long from = 0; from < elements; from += PIECE_ELEMENTS) {
          int length = (int) Math.min(PIECE_ELEMENTS, elements - from);
          source.read(tensor.name(), from, expected, length);
          Rounding.encode(expected, length, dtype, encoded);
          Rounding.decode(encoded, dtype, expected, length);
          written.read(tensor.name(), from, actual, length);
          for (int i = 0; i < length; i++) {
            if (Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(actual[i])) {
              throw new IllegalStateException(
                  "%s: element %d of %s was written as %s and read as %s"
                      .formatted(folder, from + i, tensor.name(), expected[i], actual[i]));
            }
          }
        }
      }
    }
  }
}
