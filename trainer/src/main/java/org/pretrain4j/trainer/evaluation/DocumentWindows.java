package org.pretrain4j.trainer.evaluation;

import java.util.Arrays;
import java.util.Iterator;
import java.util.NoSuchElementException;
import org.pretrain4j.data.HeldOutDocuments;
import org.pretrain4j.data.HeldOutDocuments.HeldOut;

/**
 * Documents cut into windows. A window has at most as many inputs as a row; the next one begins
 * {@code stride} tokens later and scores only what was not scored before. The first token of a
 * document is not scored, as it is never a target in training.
 */
final class DocumentWindows implements Iterator<Segment> {
  private final HeldOutDocuments documents;
  private final int length;
  private final int stride;
  private final long maxDocuments;
  private HeldOut document;
  private int start;
  private long count;
  private long targets;
  private long bytes;

  /**
   * @param length inputs of a window
   * @param stride tokens from the beginning of a window to that of the next, at most length
   * @param maxDocuments 0 for all
   */
  DocumentWindows(HeldOutDocuments documents, int length, int stride, long maxDocuments) {
    this.documents = documents;
    this.length = length;
    this.stride = stride;
    this.maxDocuments = maxDocuments;
    advance();
  }

  /** To the next document that has something to score. */
  private void advance() {
    start = 0;
    do {
      document = maxDocuments > 0 && count >= maxDocuments ? null : documents.next();
    } while (document != null && document.tokens().length < 2);
    if (document != null) {
      count++;
      targets += document.tokens().length - 1;
      bytes += document.bytes();
    }
  }

  @Override
  public boolean hasNext() {
    return document != null;
  }

  @Override
  public Segment next() {
    if (document == null) {
      throw new NoSuchElementException();
    }
    int[] tokens = document.tokens();
    int end = Math.min(tokens.length, start + length + 1);
    int scored = start == 0 ? 1 : start - stride + length + 1;
    Segment segment = new Segment(Arrays.copyOfRange(tokens, start, end), scored - start);
    if (end == tokens.length) {
      advance();
    } else {
      start += stride;
    }
    return segment;
  }

  /** Documents that were begun. */
  long documents() {
    return count;
  }

  /** Tokens that are scored in them. */
  long targets() {
    return targets;
  }

  /** Bytes of their text in UTF-8. */
  long bytes() {
    return bytes;
  }
}
