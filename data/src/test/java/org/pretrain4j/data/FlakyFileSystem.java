package org.pretrain4j.data;

import java.io.EOFException;
import java.io.IOException;
import java.net.URI;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.pretrain4j.data.storage.Storage;

/**
 * Local files under another scheme. Whatever is asked of them fails as often as a test says, with
 * the exception that it names.
 */
public final class FlakyFileSystem extends RawLocalFileSystem {
  public static final AtomicInteger FAILURES = new AtomicInteger();

  /** What the failures are. */
  public static volatile Supplier<IOException> failure;

  private static final URI NAME = URI.create("flaky:///");

  public static Storage storage() {
    failure = () -> new IOException("connection reset");
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
    ask();
    return super.open(path, bufferSize);
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    // The end of a stream that was cut says nothing about the length of its file.
    if (!(failure.get() instanceof EOFException)) {
      ask();
    }
    return super.getFileStatus(path);
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    ask();
    return super.listStatus(path);
  }

  private static void ask() throws IOException {
    if (FAILURES.getAndUpdate(left -> Math.max(left - 1, 0)) > 0) {
      throw failure.get();
    }
  }
}
