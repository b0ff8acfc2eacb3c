package org.pretrain4j.trainer.run;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.pretrain4j.data.stream.Row;
import org.pretrain4j.trainer.model.MicroBatch;

/** Cuts the rows of a rank into micro-batches. */
final class MicroBatches {
  private static final int[] NONE = {};

  private MicroBatches() {}

  /**
   * Inputs are all tokens of a row but the last, targets all but the first; the first token of a
   * document is never a target.
   *
   * @param rowsEach rows of a micro-batch; the last one may have fewer
   * @param maskDocuments whether attention is kept inside documents
   */
  static List<MicroBatch> of(List<Row> rows, int rowsEach, boolean maskDocuments) {
    List<MicroBatch> batches = new ArrayList<>();
    for (int start = 0; start < rows.size(); start += rowsEach) {
      List<Row> part = rows.subList(start, Math.min(rows.size(), start + rowsEach));
      int[][] inputs = new int[part.size()][];
      int[][] targets = new int[part.size()][];
      List<int[]> starts = new ArrayList<>();
      for (int i = 0; i < part.size(); i++) {
        int[] tokens = part.get(i).tokens();
        int[] documents = part.get(i).documentStarts();
        int length = tokens.length - 1;
        inputs[i] = Arrays.copyOf(tokens, length);
        targets[i] = Arrays.copyOfRange(tokens, 1, tokens.length);
        for (int first : documents) {
          targets[i][first - 1] = MicroBatch.MASKED;
        }
        starts.add(maskDocuments ? inside(documents, length) : NONE);
      }
      batches.add(new MicroBatch(inputs, targets, starts));
    }
    return batches;
  }

  /** A document that begins at the last token has no input of its own in this row. */
  private static int[] inside(int[] documents, int length) {
    int count = documents.length;
    while (count > 0 && documents[count - 1] >= length) {
      count--;
    }
    return count == documents.length ? documents : Arrays.copyOf(documents, count);
  }
}
