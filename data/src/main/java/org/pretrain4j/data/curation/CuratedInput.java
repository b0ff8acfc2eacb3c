package org.pretrain4j.data.curation;

import java.io.IOException;
import java.util.Arrays;
import java.util.BitSet;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;

/**
 * An input without some of its documents.
 *
 * @param dropped numbers of the documents that are left out
 */
public record CuratedInput(DocumentInput input, BitSet dropped) implements DocumentInput {
  /** An input without the given documents; the input itself if there are none. */
  public static DocumentInput of(DocumentInput input, BitSet dropped) {
    return dropped.isEmpty() ? input : new CuratedInput(input, dropped);
  }

  @Override
  public String name() {
    return input.name();
  }

  @Override
  public long bytes() {
    return input.bytes();
  }

  @Override
  public String identity() {
    return input.identity() + "|without " + Arrays.hashCode(dropped.toLongArray());
  }

  @Override
  public DocumentReader open() throws IOException {
    DocumentReader all = input.open();
    return new DocumentReader() {
      private int number;

      @Override
      public Document next() throws IOException {
        Document document = all.next();
        while (document != null && dropped.get(number++)) {
          document = all.next();
        }
        return document;
      }

      @Override
      public long bytesRead() {
        return all.bytesRead();
      }

      @Override
      public void close() throws IOException {
        all.close();
      }
    };
  }
}
