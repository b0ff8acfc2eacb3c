package org.pretrain4j.data.tokens;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;

/** Reads inputs one after the other and groups their documents into batches of similar size. */
final class DocumentFeed implements AutoCloseable {
  /**
   * @param input number of the input
   * @param number of the document in its input
   */
  record Numbered(Document document, int input, long number) {}

  record Batch(List<Numbered> documents, long characters) {}

  private final List<DocumentInput> inputs;
  private final int batchCharacters;
  private final long skippedBytes;
  private int input;
  private long number;
  private long finishedBytes;
  private DocumentReader reader;
  private Document ahead;

  /** Begins at a document of an input. */
  DocumentFeed(List<DocumentInput> inputs, int firstInput, long firstDocument, int batchCharacters)
      throws IOException {
    this.inputs = inputs;
    this.batchCharacters = batchCharacters;
    this.input = firstInput;
    for (int i = 0; i < firstInput; i++) {
      finishedBytes += inputs.get(i).bytes();
    }
    advance();
    while (ahead != null && input == firstInput && number < firstDocument) {
      number++;
      advance();
    }
    skippedBytes = firstInput == 0 && firstDocument == 0 ? 0 : bytesRead();
  }

  /** Bytes of the inputs before the first document. */
  long skippedBytes() {
    return skippedBytes;
  }

  boolean hasNext() {
    return ahead != null;
  }

  Batch next() throws IOException {
    List<Numbered> documents = new ArrayList<>();
    long characters = 0;
    while (ahead != null && (documents.isEmpty() || characters < batchCharacters)) {
      documents.add(new Numbered(ahead, input, number++));
      characters += ahead.size();
      advance();
    }
    return new Batch(documents, characters);
  }

  private void advance() throws IOException {
    ahead = null;
    while (ahead == null && input < inputs.size()) {
      if (reader == null) {
        reader = inputs.get(input).open();
      }
      ahead = reader.next();
      if (ahead == null) {
        reader.close();
        reader = null;
        finishedBytes += inputs.get(input).bytes();
        input++;
        number = 0;
      }
    }
  }

  /** Bytes of the inputs that were read, those before the first document included. */
  long bytesRead() {
    return finishedBytes + (reader == null ? 0 : reader.bytesRead());
  }

  @Override
  public void close() throws IOException {
    if (reader != null) {
      reader.close();
    }
  }
}
