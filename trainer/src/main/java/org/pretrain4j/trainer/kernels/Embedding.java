package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Rows of a table by token id, and the gradient of the table. */
public final class Embedding {
  private static final int CHUNK_ROWS = 16;

  /** Threads share out the columns, so that each element has its addends in the order of tokens. */
  private static final int CHUNK_COLUMNS = 128;

  private Embedding() {}

  /**
   * Gathers.
   *
   * @param table [vocabSize, hiddenSize]
   * @param tokens [tokens], each in [0, vocabSize)
   * @param output [tokens, hiddenSize], written; of the table's type
   * @throws IllegalArgumentException if a token is outside of the vocabulary
   */
  public static void forward(WorkerPool pool, Matrix table, int[] tokens, Matrix output) {
    check(tokens, table);
    output.requireShape("output", tokens.length, table.columns());
    output.requireTypeOf("output", table);
    pool.run(
        tokens.length,
        CHUNK_ROWS,
        (from, to) -> {
          for (int row = (int) from; row < to; row++) {
            output.row(row).copyFrom(table.row(tokens[row]));
          }
        });
  }

  /**
   * Gradient of {@link #forward}.
   *
   * @param dOutput [tokens, hiddenSize]
   * @param tokens [tokens]
   * @param dTable float32 [vocabSize, hiddenSize], added to
   */
  public static void backward(WorkerPool pool, Matrix dOutput, int[] tokens, Matrix dTable) {
    check(tokens, dTable);
    dOutput.requireShape("dOutput", tokens.length, dTable.columns());
    if (dTable.bfloat16()) {
      throw new IllegalArgumentException("dTable must be float32");
    }
    pool.run(
        dTable.columns(),
        CHUNK_COLUMNS,
        (from, to, scratch) -> {
          float[] addend = scratch.floats(0, CHUNK_COLUMNS);
          int columns = (int) (to - from);
          for (int row = 0; row < tokens.length; row++) {
            Staging.read(dOutput, row, (int) from, columns, addend);
            add(addend, dTable.row(tokens[row]), (int) from, columns);
          }
        });
  }

  private static void add(float[] addend, MemorySegment sum, int column, int columns) {
    int whole = columns / Lanes.COUNT * Lanes.COUNT;
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      Lanes.store(Lanes.load(sum, column + i).add(Lanes.load(addend, i)), sum, column + i);
    }
    if (whole < columns) {
      VectorMask<Float> rest = Lanes.FLOATS.indexInRange(whole, columns);
      FloatVector value = Lanes.load(sum, column + whole, rest).add(Lanes.load(addend, whole));
      Lanes.store(value, sum, column + whole, rest);
    }
  }

  private static void check(int[] tokens, Matrix table) {
    for (int token : tokens) {
      if (token < 0 || token >= table.rows()) {
        throw new IllegalArgumentException(
            "token " + token + " in a vocabulary of " + table.rows() + " tokens");
      }
    }
  }
}
