package org.pretrain4j.checkpoints.nanotron;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.safetensors.SafetensorsFile;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.Rounding;
import org.pretrain4j.configuration.UserException;

/** One parameter, put together from the slices in its folder. A vector is a matrix of one row. */
final class NanotronParameter implements AutoCloseable {
  private static final String TENSOR = "data";
  private static final Pattern NUMBER = Pattern.compile("(\\d+)(?=\\)|,|$)");

  /** The part of the matrix that lies at some place of a file. */
  private record Box(
      SafetensorsFile file,
      long localRow,
      long localColumn,
      long row,
      long column,
      long rows,
      long columns) {}

  private final String name;
  private final List<SafetensorsFile> files = new ArrayList<>();
  private final List<Box> boxes = new ArrayList<>();
  private long rows;
  private long columns;

  private NanotronParameter(String name) {
    this.name = name;
  }

  /**
   * Opens all slices of a parameter.
   *
   * @param folder the folder of its module
   * @throws UserException if slices are missing or don't fit together
   */
  static NanotronParameter open(DurableFileSystem files, Path folder) throws IOException {
    NanotronParameter parameter = new NanotronParameter(folder.toString());
    try {
      for (FileStatus entry : files.list(folder)) {
        if (entry.getPath().getName().matches("model_(model_)?weight.*\\.safetensors")) {
          parameter.add(SafetensorsFile.open(files, entry.getPath()), entry.getPath().getName());
        }
      }
      parameter.requireComplete();
      return parameter;
    } catch (IOException | RuntimeException e) {
      parameter.close();
      throw e;
    }
  }

  private void add(SafetensorsFile file, String fileName) {
    files.add(file);
    TensorSpec tensor = file.tensor(TENSOR);
    if (!Rounding.isFloat(tensor.dtype()) || tensor.shape().isEmpty()) {
      throw new UserException(
          "%s/%s holds %s of shape %s, which is no weight"
              .formatted(name, fileName, tensor.dtype(), tensor.shape()));
    }
    String slices = file.metadata().get("local_global_slices_pairs");
    List<Long> shape = tensor.shape();
    if (slices == null) {
      setShape(shape);
      boxes.add(new Box(file, 0, 0, 0, 0, rows, columns));
      return;
    }
    List<Long> whole = new ArrayList<>();
    Matcher number = NUMBER.matcher(file.metadata().getOrDefault("unsharded_shape", ""));
    while (number.find()) {
      whole.add(Long.parseLong(number.group(1)));
    }
    setShape(whole);
    for (String pair : slices.split(";")) {
      String[] sides = pair.split("#");
      if (sides.length != 2) {
        throw new UserException("%s/%s has the slices '%s'".formatted(name, fileName, pair));
      }
      long[] local = slice(sides[0], shape);
      long[] global = slice(sides[1], whole);
      boxes.add(
          new Box(
              file,
              local[0],
              local[2],
              global[0],
              global[2],
              local[1] - local[0],
              local[3] - local[2]));
      if (local[1] - local[0] != global[1] - global[0]
          || local[3] - local[2] != global[3] - global[2]) {
        throw new UserException("%s/%s has the slices '%s'".formatted(name, fileName, pair));
      }
    }
  }

  private void setShape(List<Long> shape) {
    long newRows = shape.size() == 1 ? 1 : shape.getFirst();
    if (shape.isEmpty()
        || shape.size() > 2
        || (rows != 0 && (rows != newRows || columns != shape.getLast()))) {
      throw new UserException(name + " has slices of different or impossible shapes: " + shape);
    }
    rows = newRows;
    columns = shape.getLast();
  }

  /** First row, end of rows, first column, end of columns. */
  private long[] slice(String text, List<Long> shape) {
    String[] dimensions = text.split("\\|");
    if (dimensions.length != shape.size()) {
      throw new UserException("%s: the slice '%s' does not fit %s".formatted(name, text, shape));
    }
    long[] bounds = {0, 1, 0, 1};
    for (int d = 0; d < dimensions.length; d++) {
      String[] parts = dimensions[d].split(",");
      int at = shape.size() == 1 ? 2 : 2 * d;
      try {
        bounds[at] = parts[0].equals("None") ? 0 : Long.parseLong(parts[0]);
        bounds[at + 1] = parts[1].equals("None") ? shape.get(d) : Long.parseLong(parts[1]);
      } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
        throw new UserException("%s has the slice '%s'".formatted(name, text), e);
      }
      boolean stepped = parts.length > 2 && !parts[2].equals("None") && !parts[2].equals("1");
      if (stepped || bounds[at] < 0 || bounds[at + 1] > shape.get(d)) {
        throw new UserException("%s: the slice '%s' does not fit %s".formatted(name, text, shape));
      }
    }
    return bounds;
  }

  private void requireComplete() {
    if (boxes.isEmpty()) {
      throw new UserException(name + " has no weights; the checkpoint is incomplete");
    }
    long covered = boxes.stream().mapToLong(box -> box.rows() * box.columns()).sum();
    if (covered != rows * columns) {
      throw new UserException(
          "%s is incomplete: its slices hold %d of %d elements"
              .formatted(name, covered, rows * columns));
    }
  }

  long rows() {
    return rows;
  }

  long columns() {
    return columns;
  }

  /** Reads elements of the flattened matrix. */
  void read(long from, float[] into, int length) {
    int done = 0;
    while (done < length) {
      long row = (from + done) / columns;
      long column = (from + done) % columns;
      done += readRow(row, column, into, done, length - done);
    }
  }

  /** Reads as much as one slice holds from a place on; returns the number of elements. */
  private int readRow(long row, long column, float[] into, int at, int length) {
    for (Box box : boxes) {
      boolean inside =
          row >= box.row()
              && row < box.row() + box.rows()
              && column >= box.column()
              && column < box.column() + box.columns();
      if (inside) {
        TensorSpec tensor = box.file().tensor(TENSOR);
        long localColumns = tensor.shape().getLast();
        boolean wide = box.columns() == columns && localColumns == columns;
        // Whole rows lie one after the other.
        long available =
            wide
                ? (box.row() + box.rows() - row) * columns - column
                : box.column() + box.columns() - column;
        int count = (int) Math.min(length, available);
        long local =
            (row - box.row() + box.localRow()) * localColumns
                + column
                - box.column()
                + box.localColumn();
        int width = tensor.dtype().bytes();
        MemorySegment bytes = MemorySegment.ofArray(new byte[count * width]);
        float[] values = new float[count];
        try {
          box.file().read(TENSOR, local * width, bytes);
        } catch (IOException e) {
          throw new UserException("%s can't be read: %s".formatted(name, e.getMessage()), e);
        }
        Rounding.decode(bytes, tensor.dtype(), values, count);
        System.arraycopy(values, 0, into, at, count);
        return count;
      }
    }
    throw new UserException(
        "%s is incomplete: no slice holds row %d, column %d".formatted(name, row, column));
  }

  @Override
  public void close() throws IOException {
    for (SafetensorsFile file : files) {
      file.close();
    }
  }
}
