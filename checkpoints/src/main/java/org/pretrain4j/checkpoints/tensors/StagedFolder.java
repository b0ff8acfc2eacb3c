package org.pretrain4j.checkpoints.tensors;

import java.io.IOException;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.UserException;

/**
 * A folder that appears whole or not at all: it is filled under a hidden name and renamed at the
 * end. Closed without {@link #publish}, it vanishes.
 */
public final class StagedFolder implements AutoCloseable {
  private final DurableFileSystem files;
  private final Path target;
  private final Path staging;
  private boolean published;

  private StagedFolder(DurableFileSystem files, Path target, Path staging) {
    this.files = files;
    this.target = target;
    this.staging = staging;
  }

  /**
   * Begins a folder.
   *
   * @throws UserException if there is one of this name already
   */
  public static StagedFolder create(DurableFileSystem files, Path target) throws IOException {
    Path qualified = files.qualify(target);
    if (files.exists(qualified)) {
      throw new UserException(
          qualified + " exists already and is not overwritten; give another folder or delete it");
    }
    Path staging = new Path(qualified.getParent(), "." + qualified.getName() + ".writing");
    files.delete(staging); // What is left of one that crashed.
    files.createFolder(staging);
    return new StagedFolder(files, qualified, staging);
  }

  /** Where to write for the time being. */
  public Path path() {
    return staging;
  }

  /** Makes the folder durable under its final name. */
  public void publish() throws IOException {
    files.syncFolder(staging);
    files.rename(staging, target);
    published = true;
  }

  @Override
  public void close() throws IOException {
    if (!published) {
      files.delete(staging);
    }
  }
}
