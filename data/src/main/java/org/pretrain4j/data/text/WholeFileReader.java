package org.pretrain4j.data.text;

import java.io.IOException;
import java.io.InputStream;

/** A file that is one document. An empty file has none. */
final class WholeFileReader implements DocumentReader {
  static final int LIMIT_BYTES = 1 << 28;

  private final String name;
  private final InputStream content;
  private final CountingStream counted;
  private boolean done;

  WholeFileReader(String name, InputStream content, CountingStream counted) {
    this.name = name;
    this.content = content;
    this.counted = counted;
  }

  @Override
  public Document next() {
    if (done) {
      return null;
    }
    done = true;
    byte[] bytes;
    try {
      bytes = content.readNBytes(LIMIT_BYTES + 1);
    } catch (IOException e) {
      throw Malformed.unreadable(name, e);
    }
    if (bytes.length > LIMIT_BYTES) {
      throw Malformed.tooLong(name, LIMIT_BYTES);
    }
    String text = Malformed.decodeUtf8(bytes, bytes.length, name, 0);
    return text.isEmpty() ? null : new Document(text, name);
  }

  @Override
  public long bytesRead() {
    return counted.count();
  }

  @Override
  public void close() throws IOException {
    content.close();
  }
}
