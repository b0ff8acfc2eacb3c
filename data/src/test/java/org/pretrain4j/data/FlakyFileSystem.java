package org.pretrain4j.data;

import java.io.IOException;
import java.net.URI;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.pretrain4j.data.storage.Storage;

/** Local files under another scheme, whose opening fails as often as a test says. */
public final class FlakyFileSystem extends RawLocalFileSystem {
  public static final AtomicInteger FAILURES = new AtomicInteger();
  private static final URI NAME = URI.create("flaky:///");

  public static Storage storage() {
    Configuration configuration = new Configuration();
    configuration.set("fs.flaky.impl", FlakyFileSystem.class.getName());
    return new Storage(configuration);
  }

  @Override
  public URI getUri() {
    return NAME;
  }

  @Override
  public String getScheme() {
    return "flaky";
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    if (FAILURES.getAndUpdate(left -> Math.max(left - 1, 0)) > 0) {
      throw new IOException("connection reset");
    }
    return super.open(path, bufferSize);
  }
}
