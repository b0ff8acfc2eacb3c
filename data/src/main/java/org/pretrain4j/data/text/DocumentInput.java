package org.pretrain4j.data.text;

import java.io.IOException;
import java.util.List;
import java.util.function.Consumer;

/** A source of documents that gives the same documents in the same order each time it is opened. */
public interface DocumentInput {
  /** Name for messages, for example the path of a file. */
  String name();

  /** Size in bytes as stored, for progress. */
  long bytes();

  /** Changes when the content may have changed: name, size and modification time, or parameters. */
  String identity();

  DocumentReader open() throws IOException;

  /** Tells of inputs that have no content at all, as a file whose writing failed may be. */
  static void warnOfEmpty(List<DocumentInput> inputs, Consumer<String> listener) {
    List<DocumentInput> empty = inputs.stream().filter(input -> input.bytes() == 0).toList();
    if (!empty.isEmpty()) {
      listener.accept(
          empty.getFirst().name()
              + (empty.size() == 1 ? "" : " and " + (empty.size() - 1) + " more files")
              + (empty.size() == 1 ? ": has" : ": have")
              + " 0 bytes and no document");
    }
  }
}
