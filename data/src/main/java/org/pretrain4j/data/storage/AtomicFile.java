package org.pretrain4j.data.storage;

import java.io.IOException;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.Path;

/**
 * A file being written that appears under its name all at once. {@link #commit} syncs and renames
 * it; closing without commit removes it. In an object store the object appears when it is complete,
 * so that it is written under its own name: there a rename would copy, and replacing take two steps
 * between which there is neither the old object nor the new one.
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
    if (temporary.equals(target)) {
      stream.close();
      committed = true;
      return;
    }
    if (stream.hasCapability("hsync")) {
      stream.hsync();
    }
    stream.close();
    storage.replace(temporary, target);
    committed = true;
  }

  @Override
  public void close() throws IOException {
    if (!committed && temporary.equals(target)) {
      stream.abort();
    } else if (!committed) {
      try {
        stream.close();
      } finally {
        storage.delete(temporary);
      }
    }
  }
}
