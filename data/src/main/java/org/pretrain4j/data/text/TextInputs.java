package org.pretrain4j.data.text;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/** Finds the files of a corpus and opens them by format and compression. */
public final class TextInputs {
  private static final int BUFFER_BYTES = 1 << 18;

  private TextInputs() {}

  /**
   * @param globs files, folders or patterns; a file that several of them match is read once; files
   *     are read in the order of their names
   * @param textColumn the field that holds the text; ignored where there is none
   * @throws org.pretrain4j.configuration.UserException if a pattern matches no file
   */
  public static List<DocumentInput> find(
      Storage storage, List<String> globs, TextFormat format, String textColumn)
      throws IOException {
    List<DocumentInput> inputs = new ArrayList<>();
    for (FileStatus file : files(storage, globs)) {
      inputs.add(input(storage, file, format, textColumn));
    }
    return inputs;
  }

  /**
   * The format that the names of the files that are found say.
   *
   * @throws org.pretrain4j.configuration.UserException if a pattern matches no file, or the names
   *     do not agree on a format
   */
  public static TextFormat format(Storage storage, List<String> globs) throws IOException {
    return TextFormat.ofNames(
        files(storage, globs).stream().map(file -> file.getPath().toString()).toList());
  }

  /** The files that {@link #find} reads, in its order. */
  public static List<FileStatus> files(Storage storage, List<String> globs) throws IOException {
    Map<String, FileStatus> files = new TreeMap<>();
    for (String glob : globs) {
      for (FileStatus file : storage.glob(glob)) {
        files.putIfAbsent(file.getPath().toString(), file);
      }
    }
    return List.copyOf(files.values());
  }

  /** One file as an input. */
  public static DocumentInput input(
      Storage storage, FileStatus file, TextFormat format, String textColumn) {
    return new TextFile(storage, file, format, textColumn);
  }

  private record TextFile(Storage storage, FileStatus file, TextFormat format, String textColumn)
      implements DocumentInput {
    @Override
    public String name() {
      Path path = file.getPath();
      return storage.isLocal(path) ? path.toUri().getPath() : path.toString();
    }

    @Override
    public long bytes() {
      return file.getLen();
    }

    @Override
    public String identity() {
      return name()
          + "|"
          + file.getLen()
          + "|"
          + file.getModificationTime()
          + "|"
          + format
          + (hasColumn() ? "|" + textColumn : "");
    }

    private boolean hasColumn() {
      return switch (format) {
        case JSONL, PARQUET, ARROW -> true;
        case TEXT, DATATROVE, MEGATRON -> false;
      };
    }

    @Override
    public DocumentReader open() throws IOException {
      return switch (format) {
        case TEXT, JSONL -> openStream();
        case PARQUET -> ParquetTextReader.open(storage, file, name(), textColumn);
        case ARROW -> ArrowTextReader.open(storage, file, name(), textColumn);
        case DATATROVE -> DatatroveReader.open(storage, file, name());
        case MEGATRON -> MegatronReader.open(storage, file, name());
      };
    }

    private DocumentReader openStream() throws IOException {
      if (file.getLen() == 0 && Compression.of(file.getPath().getName()) != Compression.NONE) {
        throw new UserException(
            name()
                + ": has 0 bytes, which no compressed file has; replace the file or leave it out");
      }
      CountingStream counted = new CountingStream(storage.open(file.getPath()));
      try {
        InputStream content =
            Compression.of(file.getPath().getName())
                .decompress(new BufferedInputStream(counted, BUFFER_BYTES));
        return format == TextFormat.TEXT
            ? new WholeFileReader(name(), content, counted)
            : new JsonLinesReader(name(), content, counted, textColumn);
      } catch (IOException e) {
        counted.close();
        throw Malformed.unreadable(name(), e);
      } catch (RuntimeException e) {
        counted.close();
        throw e;
      }
    }
  }
}
