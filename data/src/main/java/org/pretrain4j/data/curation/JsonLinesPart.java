package org.pretrain4j.data.curation;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.MinimalPrettyPrinter;
import com.github.luben.zstd.ZstdOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.storage.AtomicFile;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.Document;

/** A file of documents, {@code {"text": ..., "origin": ...}} a line, compressed by zstd. */
final class JsonLinesPart implements AutoCloseable {
  private static final JsonFactory JSON = new JsonFactory();

  private final AtomicFile file;
  private final JsonGenerator generator;
  private long characters;

  JsonLinesPart(Storage storage, Path path) throws IOException {
    this.file = storage.createAtomically(path);
    this.generator =
        JSON.createGenerator(new ZstdOutputStream(new Unclosed(file.stream())).setChecksum(true));
    generator.setPrettyPrinter(new MinimalPrettyPrinter("\n"));
    generator.disable(JsonGenerator.Feature.FLUSH_PASSED_TO_STREAM);
  }

  void add(Document document) throws IOException {
    generator.writeStartObject();
    generator.writeStringField("text", document.text());
    generator.writeStringField("origin", document.origin());
    generator.writeEndObject();
    characters += document.size();
  }

  /** Characters of the documents so far. */
  long characters() {
    return characters;
  }

  /** Publishes the file. */
  void finish() throws IOException {
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
