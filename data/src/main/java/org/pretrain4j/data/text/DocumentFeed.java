package org.pretrain4j.data.text;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Reads inputs one after the other and groups their documents into batches of similar size. */
public final class DocumentFeed implements AutoCloseable {
  /**
   * @param input number of the input
   * @param number of the document in its input
   */
  public record Numbered(Document document, int input, long number) {}

  public record Batch(List<Numbered> documents, long characters) {}

  private final List<DocumentInput> inputs;
  private final int batchCharacters;
  private final long skippedBytes;
  private int input;
  private long number;
  private long finishedBytes;
  private DocumentReader reader;
  private Document ahead;

  /**
   * Begins at a document of an input.
   *
   * @param batchCharacters a batch ends with the document that reaches so many
   */
  public DocumentFeed(
      List<DocumentInput> inputs, int firstInput, long firstDocument, int batchCharacters)
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
  public long skippedBytes() {
    return skippedBytes;
  }

  /** True if a document is left. */
  public boolean hasNext() {
    return ahead != null;
  }

  /** The next documents; call it only if there is one. */
  public Batch next() throws IOException {
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
  public long bytesRead() {
    return finishedBytes + (reader == null ? 0 : reader.bytesRead());
  }

  @Override
  public void close() throws IOException {
    if (reader != null) {
      reader.close();
    }
  }
}
