package org.pretrain4j.data.curation;

import java.io.IOException;
import org.apache.hadoop.fs.Path;

/** Judges the documents of a corpus and writes those that are kept. */
@FunctionalInterface
public interface CurationEngine {
  /**
   * Writes the parts.
   *
   * @param folder for them
   * @param partCharacters a part ends with the document that reaches so many characters
   * @return what was dropped and why
   */
  CurationReport curate(Curation curation, Path folder, long partCharacters) throws IOException;
}
