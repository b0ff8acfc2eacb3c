package org.pretrain4j.data;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.pretrain4j.data.storage.Storage;

/** Local files that count those open for reading whose names begin as a test says. */
public final class CountingFileSystem extends RawLocalFileSystem {
  private static final AtomicInteger OPENED = new AtomicInteger();
  private static final AtomicInteger OPEN = new AtomicInteger();
  private static final AtomicInteger MOST_OPEN = new AtomicInteger();
  private static volatile String prefix;

  /** Counts from zero. */
  public static Storage storage(String prefixOfNames) {
    prefix = prefixOfNames;
    OPENED.set(0);
    OPEN.set(0);
    MOST_OPEN.set(0);
    Configuration configuration = new Configuration();
    configuration.set("fs.file.impl", CountingFileSystem.class.getName());
    configuration.setBoolean("fs.file.impl.disable.cache", true);
    return new Storage(configuration);
  }

  public static int opened() {
    return OPENED.get();
  }

  public static int open() {
    return OPEN.get();
  }

  public static int mostOpen() {
    return MOST_OPEN.get();
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    FSDataInputStream in = super.open(path, bufferSize);
    if (!path.getName().startsWith(prefix)) {
      return in;
    }
    OPENED.incrementAndGet();
    MOST_OPEN.accumulateAndGet(OPEN.incrementAndGet(), Math::max);
    return new FSDataInputStream(in) {
      private final AtomicBoolean closed = new AtomicBoolean();

      @Override
      public void close() throws IOException {
        if (!closed.getAndSet(true)) {
          OPEN.decrementAndGet();
        }
        super.close();
      }
    };
  }
}
