package org.pretrain4j.checkpoints.gguf;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.gguf.GgufIndex.Stored;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

/**
 * The weights of a GGUF file under the names and in the order of rows that the model knows them by.
 * What was written is read back through it. For one thread.
 */
public final class GgufTensors implements TensorSource {
  private final String name;
  private final ModelArchitecture architecture;
  private final FSDataInputStream in;
  private final GgufIndex index;
  private final Map<String, TensorSpec> specs = new HashMap<>();
  private final List<TensorSpec> tensors;
  private float[] blocks = new float[0];

  private GgufTensors(
      String name, ModelArchitecture architecture, FSDataInputStream in, GgufIndex index) {
    this.name = name;
    this.architecture = architecture;
    this.in = in;
    this.index = index;
    this.tensors = architecture.tensors();
    for (TensorSpec tensor : tensors) {
      Stored stored = index.tensors().get(GgufExport.ggufName(tensor.name()));
      if (stored == null || !stored.shape().equals(tensor.shape())) {
        throw new UserException(
            "%s holds %s as %s, the model needs %s"
                .formatted(
                    name,
                    tensor.name(),
                    stored == null ? "nothing" : stored.shape(),
                    tensor.shape()));
      }
      specs.put(tensor.name(), tensor);
    }
    if (index.tensors().size() != tensors.size()) {
      throw new UserException(
          "%s holds %d tensors, the model has %d"
              .formatted(name, index.tensors().size(), tensors.size()));
    }
  }

  /**
   * Opens a file.
   *
   * @throws UserException in one line, if it is damaged or holds other tensors than the model's
   */
  public static GgufTensors open(DurableFileSystem files, Path path, ModelArchitecture model) {
    FSDataInputStream in = null;
    try {
      in = files.open(path);
      return new GgufTensors(
          path.toString(), model, in, GgufIndex.read(path.toString(), in, files.length(path)));
    } catch (IOException e) {
      closeQuietly(in);
      throw new UserException("%s can't be read: %s".formatted(path, e.getMessage()), e);
    } catch (RuntimeException e) {
      closeQuietly(in);
      throw e;
    }
  }

  private static void closeQuietly(FSDataInputStream in) {
    try {
      if (in != null) {
        in.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public List<TensorSpec> tensors() {
    return new ArrayList<>(tensors);
  }

  @Override
  public void read(String tensor, long from, float[] into, int length) {
    TensorSpec spec = specs.get(tensor);
    if (spec == null) {
      throw new UserException(name + " has no tensor " + tensor);
    }
    Stored stored = index.tensors().get(GgufExport.ggufName(tensor));
    int heads = GgufExport.rotatedHeads(tensor, architecture);
    try {
      if (heads == 0) {
        readStored(stored, from, into, 0, length);
      } else {
        readHalves(stored, spec.shape(), heads, from, into, length);
      }
    } catch (IOException e) {
      throw new UserException(
          "%s: the tensor %s can't be read: %s".formatted(name, tensor, e.getMessage()), e);
    }
  }

  /** From adjacent pairs back to halves, row by row. */
  private void readHalves(
      Stored stored, List<Long> shape, int heads, long from, float[] into, int length)
      throws IOException {
    long columns = shape.getLast();
    long headRows = shape.getFirst() / heads;
    int done = 0;
    while (done < length) {
      long row = (from + done) / columns;
      long column = (from + done) % columns;
      int count = (int) Math.min(length - done, columns - column);
      long inHead = row % headRows;
      long pair = 2 * (inHead % (headRows / 2)) + inHead / (headRows / 2);
      readStored(stored, (row - inHead + pair) * columns + column, into, done, count);
      done += count;
    }
  }

  /** Reads elements in the order of the file; whole blocks, of which the wanted part is kept. */
  private void readStored(Stored stored, long from, float[] into, int at, int length)
      throws IOException {
    int unit = stored.type().blockElements();
    long first = from / unit * unit;
    int count = (int) (Math.ceilDiv(from + length, (long) unit) * unit - first);
    byte[] bytes = new byte[Math.toIntExact(stored.type().bytes(count))];
    in.readFully(stored.position() + stored.type().bytes(first), bytes, 0, bytes.length);
    if (blocks.length < count) {
      blocks = new float[count];
    }
    stored.type().decode(MemorySegment.ofArray(bytes), blocks, count);
    System.arraycopy(blocks, (int) (from - first), into, at, length);
  }

  @Override
  public void close() {
    closeQuietly(in);
  }
}
