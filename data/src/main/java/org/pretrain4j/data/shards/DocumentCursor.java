package org.pretrain4j.data.shards;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;

/** The documents of a dataset in the order of its shards, each once. Not thread-safe. */
public final class DocumentCursor {
  private static final int PIECE_TOKENS = 1 << 16;

  private final ShardedDataset dataset;
  private final Queue<int[]> whole = new ArrayDeque<>();
  private int[] begun = new int[0];
  private int shard;
  private long position;

  DocumentCursor(ShardedDataset dataset) {
    this.dataset = dataset;
  }

  /**
   * @return the tokens of the next document with the one that ends it, or null after the last
   * @throws ShardException if a shard is missing or damaged
   */
  public int[] next() {
    while (whole.isEmpty() && shard < dataset.manifest().shards().size()) {
      readPiece();
    }
    return whole.poll();
  }

  private void readPiece() {
    long left = dataset.manifest().shards().get(shard).tokens() - position;
    int length = (int) Math.min(PIECE_TOKENS, left);
    // One token again, so that a document that begins with the piece is told as one.
    int again = position > 0 ? 1 : 0;
    Sequence piece = dataset.read(shard, position - again, length + again);
    int from = again;
    for (int start : piece.documentStarts()) {
      begin(piece.tokens(), from, start);
      finish();
      from = start;
    }
    begin(piece.tokens(), from, piece.tokens().length);
    position += length;
    if (length == left) {
      finish(); // A document ends with its shard.
      shard++;
      position = 0;
    }
  }

  private void begin(int[] tokens, int from, int to) {
    int held = begun.length;
    begun = Arrays.copyOf(begun, held + to - from);
    System.arraycopy(tokens, from, begun, held, to - from);
  }

  private void finish() {
    whole.add(begun);
    begun = new int[0];
  }
}
