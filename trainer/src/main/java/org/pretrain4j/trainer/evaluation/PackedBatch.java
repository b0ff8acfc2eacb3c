package org.pretrain4j.trainer.evaluation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.pretrain4j.trainer.model.MicroBatch;

/** Segments side by side in rows, in their order. */
final class PackedBatch {
  private final int rowLength;
  private final int maxRows;
  private final List<List<Segment>> rows = new ArrayList<>();
  private int filled;

  /**
   * @param rowLength inputs that a row can take
   */
  PackedBatch(int rowLength, int maxRows) {
    this.rowLength = rowLength;
    this.maxRows = maxRows;
  }

  /**
   * Adds a segment behind the last one.
   *
   * @return false if there is no room for it
   */
  boolean add(Segment segment) {
    if (segment.inputs() > rowLength) {
      throw new IllegalArgumentException(segment.inputs() + " inputs in rows of " + rowLength);
    }
    if (rows.isEmpty() || filled + segment.inputs() > rowLength) {
      if (rows.size() == maxRows) {
        return false;
      }
      rows.add(new ArrayList<>());
      filled = 0;
    }
    rows.getLast().add(segment);
    filled += segment.inputs();
    return true;
  }

  boolean isEmpty() {
    return rows.isEmpty();
  }

  private int width() {
    return rows.stream()
        .mapToInt(row -> row.stream().mapToInt(Segment::inputs).sum())
        .max()
        .orElseThrow();
  }

  /** The rows as a pass takes them, no longer than the fullest of them. */
  MicroBatch toMicroBatch() {
    int width = width();
    int[][] inputs = new int[rows.size()][width];
    int[][] targets = new int[rows.size()][width];
    List<int[]> starts = new ArrayList<>();
    for (int row = 0; row < inputs.length; row++) {
      Arrays.fill(targets[row], MicroBatch.MASKED);
      List<Integer> begins = new ArrayList<>();
      int at = 0;
      for (Segment segment : rows.get(row)) {
        if (at > 0) {
          begins.add(at);
        }
        int length = segment.inputs();
        System.arraycopy(segment.tokens(), 0, inputs[row], at, length);
        int first = segment.firstTarget() - 1;
        System.arraycopy(segment.tokens(), first + 1, targets[row], at + first, length - first);
        at += length;
      }
      if (at < width) {
        begins.add(at); // What fills the row is seen by nothing.
      }
      starts.add(begins.stream().mapToInt(Integer::intValue).toArray());
    }
    return new MicroBatch(inputs, targets, starts);
  }

  /**
   * Adds up what belongs to each segment.
   *
   * @param scores of the batch, {@code [rows * width]}
   * @return a sum for each segment, in their order
   */
  double[] sums(double[] scores) {
    int width = width();
    double[] sums = new double[rows.stream().mapToInt(List::size).sum()];
    int segment = 0;
    for (int row = 0; row < rows.size(); row++) {
      int at = row * width;
      for (Segment placed : rows.get(row)) {
        for (int i = placed.firstTarget() - 1; i < placed.inputs(); i++) {
          sums[segment] += scores[at + i];
        }
        at += placed.inputs();
        segment++;
      }
    }
    return sums;
  }
}
