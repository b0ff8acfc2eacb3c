package org.pretrain4j.data;

import java.io.IOException;
import java.util.List;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.ArithmeticInput;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;

/** The sources of the documents of a dataset that is not tokenized yet. */
final class DatasetInputs {
  private DatasetInputs() {}

  /**
   * @param seed of generated documents
   */
  static List<DocumentInput> find(Storage storage, DatasetConfig config, long seed)
      throws IOException {
    if (config.synthetic().isPresent()) {
      return switch (config.synthetic().get()) {
        case ARITHMETIC -> List.of(new ArithmeticInput(config.documents().orElseThrow(), seed));
      };
    }
    TextFormat format =
        switch (config.format()) {
          case AUTO -> TextInputs.format(storage, config.text());
          case TEXT -> TextFormat.TEXT;
          case JSONL -> TextFormat.JSONL;
          case PARQUET -> TextFormat.PARQUET;
          case ARROW -> TextFormat.ARROW;
        };
    return TextInputs.find(storage, config.text(), format, config.textColumn());
  }
}
