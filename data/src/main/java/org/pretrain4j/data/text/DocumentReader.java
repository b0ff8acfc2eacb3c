package org.pretrain4j.data.text;

import java.io.IOException;

/** Reads the documents of one input in order. Not thread-safe. */
public interface DocumentReader extends AutoCloseable {
  /**
   * @return the next document, or null at the end
   * @throws org.pretrain4j.configuration.UserException if the input is malformed, naming the place
   */
  Document next() throws IOException;

  /** Bytes of the input consumed so far (compressed bytes of a compressed file). */
  long bytesRead();

  @Override
  void close() throws IOException;
}
