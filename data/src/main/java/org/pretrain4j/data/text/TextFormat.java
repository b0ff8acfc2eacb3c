package org.pretrain4j.data.text;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.pretrain4j.configuration.UserException;

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

  // Names that promise something else than one document of plain text, and are no format above.
  private static final Pattern NOT_TEXT =
      Pattern.compile(".*\\.(json|jsonl|ndjson|parquet|arrow)(\\.(gz|zst|zstd))?");

  private final Pattern names;

  TextFormat(String names) {
    this.names = Pattern.compile(names);
  }

  /**
   * The format that the names of all files end like; text if none ends like another one.
   *
   * @throws UserException if the names are of several formats, or of one that is not text but that
   *     the name alone does not decide, such as {@code .json}
   */
  public static TextFormat ofNames(List<String> names) {
    Set<TextFormat> found = EnumSet.noneOf(TextFormat.class);
    String first = null;
    for (String name : names) {
      TextFormat format = ofName(name);
      if (format == TEXT && NOT_TEXT.matcher(name).matches()) {
        throw new UserException(
            name
                + ": its name does not say how it holds documents; give the format, such as jsonl"
                + " for one JSON object a line");
      }
      if (found.add(format) && found.size() > 1) {
        throw new UserException(
            "files of several formats, "
                + first
                + " and "
                + name
                + "; name those of one format by a pattern, or give the format");
      }
      first = first == null ? name : first;
    }
    return found.iterator().next();
  }

  private static TextFormat ofName(String name) {
    return Arrays.stream(values())
        .filter(format -> format != TEXT && format.names.matcher(name).matches())
        .findFirst()
        .orElse(TEXT);
  }
}
