package org.pretrain4j.checkpoints.storage;

import java.io.IOException;
import java.net.URI;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/** The local disk under the scheme {@code troubled}, with whatever trouble a test wants. */
public final class TroubledFileSystem extends RawLocalFileSystem {
  /** Is asked before each file is created or opened, and may fail or take its time. */
  @FunctionalInterface
  public interface Trouble {
    void before(String path) throws IOException;
  }

  public static final Trouble NONE = path -> {};
  public static final AtomicReference<Trouble> TROUBLE = new AtomicReference<>(NONE);

  /** Lets whoever creates such a file wait, at most a minute. */
  public static void waitFor(String part, CountDownLatch begun, CountDownLatch mayGoOn) {
    TROUBLE.set(
        path -> {
          if (path.contains(part)) {
            begun.countDown();
            try {
              if (!mayGoOn.await(1, TimeUnit.MINUTES)) {
                throw new IOException("nobody let " + path + " go on");
              }
            } catch (InterruptedException e) {
              throw new IOException("interrupted", e);
            }
          }
        });
  }

  /** As {@link #TROUBLE}, but before a file is opened to be read. */
  public static final AtomicReference<Trouble> READING = new AtomicReference<>(NONE);

  @Override
  public String getScheme() {
    return "troubled";
  }

  @Override
  public URI getUri() {
    return URI.create("troubled:///");
  }

  @Override
  public FSDataOutputStream create(
      Path path,
      FsPermission permission,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    TROUBLE.get().before(path.toString());
    return super.create(path, permission, overwrite, bufferSize, replication, blockSize, progress);
  }

  @Override
  public FSDataOutputStream create(
      Path path,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    TROUBLE.get().before(path.toString());
    return super.create(path, overwrite, bufferSize, replication, blockSize, progress);
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    READING.get().before(path.toString());
    return super.open(path, bufferSize);
  }
}
