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
public class FlakyFileSystem extends RawLocalFileSystem {
  public static final AtomicInteger FAILURES = new AtomicInteger();

  /** What the failures are. */
  public static volatile Supplier<IOException> failure;

  /** How the names of the files begin that fail. */
  public static volatile String prefix = "";

  private static final URI NAME = URI.create("flaky:///");

  public static Storage storage() {
    failure = () -> new IOException("connection reset");
    Configuration configuration = new Configuration();
    configuration.set("fs.flaky.impl", FlakyFileSystem.class.getName());
    configuration.set("fs.file.impl", Local.class.getName());
    configuration.setBoolean("fs.file.impl.disable.cache", true);
    prefix = "";
    return new Storage(configuration);
  }

  /** The same with local files under their own scheme. */
  public static final class Local extends FlakyFileSystem {
    @Override
    public URI getUri() {
      return URI.create("file:///");
    }

    @Override
    public String getScheme() {
      return "file";
    }
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
    ask(path);
    return super.open(path, bufferSize);
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    // The end of a stream that was cut says nothing about the length of its file.
    if (!(failure.get() instanceof EOFException)) {
      ask(path);
    }
    return super.getFileStatus(path);
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    ask(path);
    return super.listStatus(path);
  }

  private static void ask(Path path) throws IOException {
    if (path.getName().startsWith(prefix)
        && FAILURES.getAndUpdate(left -> Math.max(left - 1, 0)) > 0) {
      throw failure.get();
    }
  }
}
