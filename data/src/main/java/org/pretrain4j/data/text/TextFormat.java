package org.pretrain4j.data.text;

import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;

/** How documents lie in a file. */
public enum TextFormat {
  /** One document a file. */
  TEXT(".*"),
  /** One JSON object a line, the text in one of its fields. */
  JSONL(".*\\.(jsonl|ndjson)(\\.(gz|zst|zstd))?"),
  /** One row a document, the text in one of the columns of a Parquet file. */
  PARQUET(".*\\.parquet"),
  /** One row a document, the text in one of the columns of an Arrow IPC file. */
  ARROW(".*\\.arrow"),
  /** Tokens as datatrove writes them: {@code x.ds} with {@code x.ds.index}. */
  DATATROVE(".*\\.ds"),
  /**
   * Tokens as Megatron-LM writes them: {@code x.bin} with {@code x.idx}; patterns name the latter.
   */
  MEGATRON(".*\\.idx");

  private final Pattern names;

  TextFormat(String names) {
    this.names = Pattern.compile(names);
  }

  /** The format that all names or patterns of files end like; text if there is none. */
  public static TextFormat ofNames(List<String> names) {
    return Arrays.stream(values())
        .filter(format -> format != TEXT)
        .filter(format -> names.stream().allMatch(name -> format.names.matcher(name).matches()))
        .findFirst()
        .orElse(TEXT);
  }
}
