package org.pretrain4j.data.curation;

import java.util.function.IntPredicate;
import org.pretrain4j.configuration.UserException;

/**
 * From the key of a band to the documents that have it, in two arrays with open addressing: at most
 * 48 bytes an entry, where maps and lists of objects would take several times that.
 */
final class BandIndex {
  private static final int MAX_CAPACITY = 1 << 30;

  private long[] keys = new long[1 << 10];
  // Number of the document plus one; 0 is a free place.
  private int[] documents = new int[keys.length];
  private int size;

  /**
   * @throws UserException if there are half a billion entries already
   */
  void add(long key, int document) {
    if (2 * (size + 1) > keys.length) {
      grow();
    }
    insert(key, document + 1);
    size++;
  }

  /** True if the test holds for one of the documents that have the key. */
  boolean anyMatch(long key, IntPredicate test) {
    int mask = keys.length - 1;
    for (int at = place(key, mask); documents[at] != 0; at = (at + 1) & mask) {
      if (keys[at] == key && test.test(documents[at] - 1)) {
        return true;
      }
    }
    return false;
  }

  private void insert(long key, int stored) {
    int mask = keys.length - 1;
    int at = place(key, mask);
    while (documents[at] != 0) {
      at = (at + 1) & mask;
    }
    keys[at] = key;
    documents[at] = stored;
  }

  private static int place(long key, int mask) {
    long mixed = (key ^ (key >>> 32)) * 0x9E3779B97F4A7C15L;
    return (int) (mixed >>> 32) & mask;
  }

  private void grow() {
    if (keys.length == MAX_CAPACITY) {
      throw new UserException(
          "near duplicates: one process can index half a billion bands, which is 33 million"
              + " documents of 16 bands; set fewer bands, or curate on Spark");
    }
    long[] oldKeys = keys;
    int[] oldDocuments = documents;
    keys = new long[2 * oldKeys.length];
    documents = new int[keys.length];
    for (int i = 0; i < oldKeys.length; i++) {
      if (oldDocuments[i] != 0) {
        insert(oldKeys[i], oldDocuments[i]);
      }
    }
  }
}
