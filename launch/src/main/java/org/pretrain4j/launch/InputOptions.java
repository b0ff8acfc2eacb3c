package org.pretrain4j.launch;

import java.io.IOException;
import java.util.List;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Documents, as every command takes them that reads a corpus. */
final class InputOptions {
  @Parameters(
      paramLabel = "INPUT",
      arity = "1..*",
      description = {
        "Files, folders or patterns with * ? [] {} **, on any file system that Hadoop knows; quote"
            + " patterns, so that the shell leaves them alone."
      })
  private List<String> inputs;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description = {
        "How the inputs hold documents: ${COMPLETION-CANDIDATES} (default: what the names of all"
            + " files found end with: .jsonl, .ndjson, .parquet, .arrow, .ds, .idx; else text, where"
            + " a file is a document; needed for .json and for files of several formats)."
      })
  private TextFormat format;

  @Option(
      names = "--text-column",
      paramLabel = "NAME",
      defaultValue = "text",
      description = "The field or column that holds the text (default: ${DEFAULT-VALUE}).")
  private String textColumn;

  /** The files that are there now. */
  List<DocumentInput> find(Storage storage) throws IOException {
    return TextInputs.find(
        storage, inputs, format == null ? TextInputs.format(storage, inputs) : format, textColumn);
  }
}
