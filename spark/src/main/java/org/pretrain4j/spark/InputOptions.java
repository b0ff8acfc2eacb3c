package org.pretrain4j.spark;

import java.io.IOException;
import java.util.List;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The corpus of a command. */
final class InputOptions {
  @Parameters(
      paramLabel = "INPUT",
      arity = "1..*",
      description = "Files, folders or patterns with * ? [] {} **; quote patterns.")
  private List<String> inputs;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description =
          "How the inputs hold documents: ${COMPLETION-CANDIDATES} (default: by their names).")
  private TextFormat format;

  @Option(
      names = "--text-column",
      paramLabel = "NAME",
      defaultValue = "text",
      description = "The field or column that holds the text (default: ${DEFAULT-VALUE}).")
  private String textColumn;

  Corpus find(Storage storage) throws IOException {
    return Corpus.find(
        storage, inputs, format == null ? TextInputs.format(storage, inputs) : format, textColumn);
  }
}
