package org.pretrain4j.spark;

import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.curation.JsonLinesPart;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.DocumentFeed;

/**
 * A file of curated documents that lie one after the other in the corpus.
 *
 * @param number of the part
 * @param input in which it begins
 * @param document number of its first document among those that are kept of the input
 * @param documents in the part
 */
record CuratedPart(int number, int input, long document, long documents) implements Serializable {
  private static final int BATCH_CHARACTERS = 1 << 16;

  /**
   * Cuts curated documents into parts, as a writer does that meets them one after the other.
   *
   * @param characters of the documents, file by file
   * @param partCharacters a part ends with the document that reaches so many
   */
  static List<CuratedPart> cut(List<int[]> characters, long partCharacters) {
    List<CuratedPart> parts = new ArrayList<>();
    long size = 0;
    long documents = 0;
    int firstInput = 0;
    long firstDocument = 0;
    for (int input = 0; input < characters.size(); input++) {
      int[] ofInput = characters.get(input);
      for (int document = 0; document < ofInput.length; document++) {
        if (documents == 0) {
          firstInput = input;
          firstDocument = document;
        }
        documents++;
        size += ofInput[document];
        if (size >= partCharacters) {
          parts.add(new CuratedPart(parts.size(), firstInput, firstDocument, documents));
          size = 0;
          documents = 0;
        }
      }
    }
    if (documents > 0) {
      parts.add(new CuratedPart(parts.size(), firstInput, firstDocument, documents));
    }
    return parts;
  }

  void write(Storage storage, Corpus corpus, Path folder) throws IOException {
    try (DocumentFeed feed =
            new DocumentFeed(corpus.inputs(storage), input, document, BATCH_CHARACTERS);
        JsonLinesPart part = new JsonLinesPart(storage, folder, number)) {
      long left = documents;
      while (left > 0) {
        for (DocumentFeed.Numbered next : feed.next().documents()) {
          if (left-- > 0) {
            part.add(next.document());
          }
        }
      }
      part.finish();
    }
  }
}
