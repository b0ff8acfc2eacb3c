package org.pretrain4j.data.curation;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.MinimalPrettyPrinter;
import com.github.luben.zstd.ZstdOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Locale;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.storage.AtomicFile;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.Document;

/** A file of documents, {@code {"text": ..., "origin": ...}} a line, compressed by zstd. */
public final class JsonLinesPart implements AutoCloseable {
  static final String PREFIX = "part-";

  private static final JsonFactory JSON = new JsonFactory();

  private final AtomicFile file;
  private final JsonGenerator generator;
  private long characters;

  /**
   * Begins a part of a folder.
   *
   * @param number of the part, from 0 on
   */
  public JsonLinesPart(Storage storage, Path folder, int number) throws IOException {
    Path path = new Path(folder, String.format(Locale.ROOT, PREFIX + "%05d.jsonl.zst", number));
    this.file = storage.createAtomically(path);
    this.generator =
        JSON.createGenerator(new ZstdOutputStream(new Unclosed(file.stream())).setChecksum(true));
    generator.setPrettyPrinter(new MinimalPrettyPrinter("\n"));
    generator.disable(JsonGenerator.Feature.FLUSH_PASSED_TO_STREAM);
  }

  public void add(Document document) throws IOException {
    generator.writeStartObject();
    generator.writeStringField("text", document.text());
    generator.writeStringField("origin", document.origin());
    generator.writeEndObject();
    characters += document.size();
  }

  /** Characters of the documents so far. */
  public long characters() {
    return characters;
  }

  /** Publishes the file. */
  public void finish() throws IOException {
    generator.writeRaw('\n');
    generator.close();
    file.commit();
  }

  /** The file syncs its stream before it closes it, which the end of the compression must not. */
  private static final class Unclosed extends FilterOutputStream {
    Unclosed(OutputStream stream) {
      super(stream);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      out.write(bytes, from, length);
    }

    @Override
    public void close() throws IOException {
      flush();
    }
  }

  /** Drops the file unless it is finished. */
  @Override
  public void close() throws IOException {
    file.close();
  }
}
