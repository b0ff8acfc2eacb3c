package org.pretrain4j.data.text;

import java.io.IOException;

/** A source of documents that gives the same documents in the same order each time it is opened. */
public interface DocumentInput {
  /** Name for messages, for example the path of a file. */
  String name();

  /** Size in bytes as stored, for progress. */
  long bytes();

  /** Changes when the content may have changed: name, size and modification time, or parameters. */
  String identity();

  DocumentReader open() throws IOException;
}
