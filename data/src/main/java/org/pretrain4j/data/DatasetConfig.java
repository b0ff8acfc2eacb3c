package org.pretrain4j.data;

import java.util.List;
import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/**
 * Where the documents of one dataset come from: exactly one of text, shards and synthetic. Text and
 * synthetic documents are tokenized once, on first use.
 */
public record DatasetConfig(
    @Key(
            "Globs of files to tokenize, such as `docs/**/*.md`, relative to the working directory;"
                + " their order does not matter")
        @Default("[]")
        List<String> text,
    @Key(
            "How the files of `text` are read: `auto` goes by what all their names end with, `text` takes a file as a document, `jsonl` a line,"
                + " both also compressed by gzip or zstd; `parquet` and `arrow` take a row")
        @Default("auto")
        Format format,
    @Key("The field of a line of `jsonl`, or the column, that holds the document") @Default("text")
        String textColumn,
    @Key(
            "A folder of shards with its manifest.json, made by `tokenize`; any file system that"
                + " Hadoop knows")
        Optional<String> shards,
    @Key("A kind of documents to generate from the run's seed") Optional<Synthetic> synthetic,
    @Key("How many documents to generate; needed with `synthetic` only") Optional<Long> documents) {

  /** How text files are cut into documents. */
  public enum Format {
    AUTO,
    TEXT,
    JSONL,
    PARQUET,
    ARROW
  }

  /** Documents that are generated. */
  public enum Synthetic {
    ARITHMETIC
  }

  public DatasetConfig {
    text = List.copyOf(text);
    Checks checks = new Checks();
    int sources =
        (text.isEmpty() ? 0 : 1) + (shards.isPresent() ? 1 : 0) + (synthetic.isPresent() ? 1 : 0);
    checks.require(
        sources == 1,
        List.of("", "text", "shards", "synthetic"),
        "needs exactly one of text, shards and synthetic, but has " + sources);
    for (int i = 0; i < text.size(); i++) {
      checks.notBlank("text[" + i + "]", text.get(i));
    }
    shards.ifPresent(folder -> checks.notBlank("shards", folder));
    checks.notBlank("text_column", textColumn);
    documents.ifPresent(count -> checks.positive("documents", count));
    checks.require(
        synthetic.isEmpty() || documents.isPresent(),
        List.of("synthetic", "documents"),
        "needs documents as well: add documents: 1000");
    checks.require(
        documents.isEmpty() || synthetic.isPresent(),
        List.of("documents", "synthetic"),
        "goes with synthetic only: delete it");
    checks.throwIfAny();
  }
}
