package org.pretrain4j.trainer.run;

import java.io.IOException;
import java.net.URI;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/** The local disk under the scheme {@code troubled}, with whatever trouble a test wants. */
public final class TroubledFileSystem extends RawLocalFileSystem {
  /** Is asked before each file is created, and may fail or take its time. */
  @FunctionalInterface
  interface Trouble {
    void beforeCreating(String path) throws IOException;
  }

  static final Trouble NONE = path -> {};
  static final AtomicReference<Trouble> TROUBLE = new AtomicReference<>(NONE);

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
    TROUBLE.get().beforeCreating(path.toString());
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
    TROUBLE.get().beforeCreating(path.toString());
    return super.create(path, overwrite, bufferSize, replication, blockSize, progress);
  }
}
