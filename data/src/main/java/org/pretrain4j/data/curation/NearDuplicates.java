package org.pretrain4j.data.curation;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.configuration.UserException;

/**
 * Near duplicates by MinHash and locality-sensitive hashing. A document is the set of its runs of
 * {@code shingleWords} words, in lower case; two documents that agree in all {@code rows} values of
 * one of {@code bands} bands are compared by their signatures, and the later one is dropped if the
 * estimated Jaccard similarity reaches the threshold.
 *
 * <p>The bands find a pair of similarity s with probability {@code 1 - (1 - s^rows)^bands}: 16
 * bands of 8 rows find 0.8 with 95% and 0.9 with 99.99%.
 *
 * @param shingleWords words in a run; shorter documents are one run
 * @param bands of the signature
 * @param rows values in a band
 * @param threshold least similarity of a near duplicate, above 0 and up to 1
 */
public record NearDuplicates(int shingleWords, int bands, int rows, double threshold)
    implements Serializable {
  static final int MAX_VALUES = 4096;

  public NearDuplicates {
    if (shingleWords < 1 || bands < 1 || rows < 1 || bands * (long) rows > MAX_VALUES) {
      throw new UserException(
          shingleWords
              + " words, "
              + bands
              + " bands of "
              + rows
              + " rows; expected 1 or more, and up to "
              + MAX_VALUES
              + " values in all");
    }
    if (!(threshold > 0 && threshold <= 1)) {
      throw new UserException("threshold: " + threshold + "; expected a number up to 1, above 0");
    }
  }

  /** Runs of 5 words, 16 bands of 8, similarity 0.8. */
  public static NearDuplicates defaults() {
    return new NearDuplicates(5, 16, 8, 0.8);
  }

  /** Makes and compares signatures by these settings. */
  public Sketcher sketcher() {
    return new Sketcher(this);
  }

  /**
   * An empty index. It keeps {@code 2 * bands * rows} bytes of signature and some 40 bytes a band
   * for every document that is kept.
   */
  Index index() {
    return new Index();
  }

  /** Signatures seen so far. Not thread-safe. */
  final class Index {
    private final Sketcher sketcher = sketcher();
    private final List<byte[]> signatures = new ArrayList<>();
    private final BandIndex documents = new BandIndex();

    private Index() {}

    /** True if a document like this was added before; else adds it. */
    boolean isKnown(byte[] signature) {
      // The keys of different bands differ, so all bands share one index.
      long[] keys = sketcher.bandKeys(signature);
      for (long key : keys) {
        if (documents.anyMatch(key, other -> sketcher.similar(signature, signatures.get(other)))) {
          return true;
        }
      }
      for (long key : keys) {
        documents.add(key, signatures.size());
      }
      signatures.add(signature);
      return false;
    }
  }
}
