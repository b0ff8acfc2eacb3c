package org.pretrain4j.trainer.evaluation;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.DoubleConsumer;

/**
 * Scores a stream of segments. Batches are filled in the order of the segments and dealt to the
 * ranks in turn, so the batches, and with them the bits of the result, are the same for any number
 * of ranks.
 */
final class SegmentScores {
  private static final int BATCH_TOKENS = 8192;

  private final BatchScorer scorer;
  private final RankExchange exchange;
  private final int rowLength;
  private final int rows;

  /**
   * @param rowLength inputs of a row
   */
  SegmentScores(BatchScorer scorer, RankExchange exchange, int rowLength) {
    this.scorer = scorer;
    this.exchange = exchange;
    this.rowLength = rowLength;
    this.rows = Math.max(1, BATCH_TOKENS / rowLength);
  }

  /**
   * Scores all.
   *
   * @param each gets the log-likelihood of the targets of each segment, in their order
   */
  void score(Iterator<Segment> segments, DoubleConsumer each) {
    Segment held = null;
    while (held != null || segments.hasNext()) {
      List<PackedBatch> round = new ArrayList<>();
      while (round.size() < exchange.worldSize() && (held != null || segments.hasNext())) {
        PackedBatch batch = new PackedBatch(rowLength, rows);
        boolean full = false;
        while (!full && (held != null || segments.hasNext())) {
          Segment next = held != null ? held : segments.next();
          full = !batch.add(next);
          held = full ? next : null;
        }
        round.add(batch);
      }
      for (double[] sums : exchange.gather(own(round))) {
        for (double sum : sums) {
          each.accept(sum);
        }
      }
    }
  }

  private double[] own(List<PackedBatch> round) {
    if (exchange.rank() >= round.size()) {
      return new double[0];
    }
    PackedBatch batch = round.get(exchange.rank());
    return batch.sums(scorer.score(batch.toMicroBatch()));
  }
}
