package org.pretrain4j.data.storage;

import java.io.IOException;

/** Pieces of remote files, some of which are at hand already. Thread-safe. */
public interface Pieces {
  /** Reads a piece from where it is. */
  @FunctionalInterface
  interface Fetch {
    byte[] fetch() throws IOException;
  }

  /**
   * A piece, from here if it is at hand or on its way, else fetched.
   *
   * @param key a file name that stands for these bytes and no others
   */
  byte[] get(String key, Fetch fetch) throws IOException;

  /** Fetches a piece in the background, unless it is there or many are on their way. */
  void prefetch(String key, Fetch fetch);

  /** Drops a piece that proved bad. */
  void forget(String key);
}
