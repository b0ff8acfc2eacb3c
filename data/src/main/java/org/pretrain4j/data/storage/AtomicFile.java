package org.pretrain4j.data.storage;

import java.io.IOException;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.Path;

/**
 * A file being written under a temporary name. {@link #commit} syncs and renames it; closing
 * without commit removes it.
 */
public final class AtomicFile implements AutoCloseable {
  private final Storage storage;
  private final Path temporary;
  private final Path target;
  private final FSDataOutputStream stream;
  private boolean committed;

  AtomicFile(Storage storage, Path temporary, Path target, FSDataOutputStream stream) {
    this.storage = storage;
    this.temporary = temporary;
    this.target = target;
    this.stream = stream;
  }

  public FSDataOutputStream stream() {
    return stream;
  }

  public void commit() throws IOException {
    if (stream.hasCapability("hsync")) {
      stream.hsync();
    }
    stream.close();
    storage.replace(temporary, target);
    committed = true;
  }

  @Override
  public void close() throws IOException {
    if (!committed) {
      try {
        stream.close();
      } finally {
        storage.delete(temporary);
      }
    }
  }
}
