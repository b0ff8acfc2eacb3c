package org.pretrain4j.spark;

import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.data.curation.CuratedInput;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;

/** The files of a corpus in their order, without the documents that were dropped from them. */
public final class Corpus implements Serializable {
  private static final long serialVersionUID = 1L;

  private final InputFile[] files;
  private final TextFormat format;
  private final String textColumn;
  private final DocumentSet dropped;

  private Corpus(InputFile[] files, TextFormat format, String textColumn, DocumentSet dropped) {
    this.files = files;
    this.format = format;
    this.textColumn = textColumn;
    this.dropped = dropped;
  }

  /**
   * The same files in the same order as {@link TextInputs#find}.
   *
   * @throws org.pretrain4j.configuration.UserException if a pattern matches no file
   */
  public static Corpus find(
      Storage storage, List<String> globs, TextFormat format, String textColumn)
      throws IOException {
    InputFile[] files =
        TextInputs.files(storage, globs).stream().map(InputFile::of).toArray(InputFile[]::new);
    return new Corpus(files, format, textColumn, new DocumentSet(files.length));
  }

  Corpus without(DocumentSet documents) {
    return new Corpus(files, format, textColumn, documents);
  }

  /** Number of files. */
  public int size() {
    return files.length;
  }

  /** Size of all files as stored. */
  long bytes() {
    long bytes = 0;
    for (InputFile file : files) {
      bytes += file.bytes();
    }
    return bytes;
  }

  /** One of the files. */
  DocumentInput input(Storage storage, int number) {
    DocumentInput all = TextInputs.input(storage, files[number].status(), format, textColumn);
    return CuratedInput.of(all, dropped.of(number));
  }

  /** All files. */
  public List<DocumentInput> inputs(Storage storage) {
    List<DocumentInput> inputs = new ArrayList<>();
    for (int i = 0; i < files.length; i++) {
      inputs.add(input(storage, i));
    }
    return inputs;
  }
}
