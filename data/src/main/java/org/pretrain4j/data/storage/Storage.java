package org.pretrain4j.data.storage;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CommonPathCapabilities;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.util.functional.FutureIO;
import org.pretrain4j.configuration.StorageException;
import org.pretrain4j.configuration.UserException;

/**
 * Opens, lists and durably publishes files of any Hadoop file system. Thread-safe.
 *
 * <p>Local files are used without Hadoop's {@code .crc} companions: our formats carry checksums
 * that hold on every file system.
 */
public final class Storage {
  private final Configuration configuration;

  public Storage(Configuration configuration) {
    this.configuration = configuration;
  }

  public Configuration configuration() {
    return configuration;
  }

  /**
   * @throws UserException if the text is not a path or its scheme is unknown
   */
  public Path path(String text) {
    Path path;
    try {
      path = new Path(text);
    } catch (IllegalArgumentException e) {
      throw new UserException("'" + text + "' is not a path: " + e.getMessage(), e);
    }
    return fileSystem(path).makeQualified(path);
  }

  public FileSystem fileSystem(Path path) {
    try {
      FileSystem fileSystem = path.getFileSystem(configuration);
      return fileSystem instanceof LocalFileSystem local ? local.getRawFileSystem() : fileSystem;
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(
          "cannot use the file system of '"
              + path
              + "': "
              + firstLine(e)
              + "; expected file:, hdfs: or s3a:",
          e);
    }
  }

  public boolean exists(Path path) throws IOException {
    return fileSystem(path).exists(path);
  }

  /**
   * @throws UserException if there is no such file
   */
  public FileStatus status(Path path) throws IOException {
    try {
      return fileSystem(path).getFileStatus(path);
    } catch (FileNotFoundException e) {
      throw missing(path, e);
    }
  }

  /** The files and folders directly in a folder, in no particular order. */
  public FileStatus[] list(Path folder) throws IOException {
    try {
      return fileSystem(folder).listStatus(folder);
    } catch (FileNotFoundException e) {
      throw missing(folder, e);
    }
  }

  /**
   * @throws UserException if there is no such file
   */
  public FSDataInputStream open(Path path) throws IOException {
    try {
      return fileSystem(path).open(path);
    } catch (FileNotFoundException e) {
      throw missing(path, e);
    }
  }

  /**
   * Opens a file for reads of single ranges: a file system that asks for its files over the network
   * asks for these ranges and no more, and does not ask for the length.
   *
   * @param bytes length of the file
   * @throws UserException if there is no such file; some file systems only notice when it is read
   */
  public FSDataInputStream openForRanges(Path path, long bytes) throws IOException {
    try {
      return FutureIO.awaitFuture(
          fileSystem(path)
              .openFile(path)
              .opt(
                  Options.OpenFileOptions.FS_OPTION_OPENFILE_READ_POLICY,
                  Options.OpenFileOptions.FS_OPTION_OPENFILE_READ_POLICY_RANDOM)
              .optLong(Options.OpenFileOptions.FS_OPTION_OPENFILE_LENGTH, bytes)
              .build());
    } catch (FileNotFoundException e) {
      throw missing(path, e);
    }
  }

  /** Reads a whole small file. */
  public byte[] read(Path path) throws IOException {
    try (FSDataInputStream in = open(path)) {
      return in.readAllBytes();
    }
  }

  /** Files matched by a glob with {@code * ? [] {} **}, sorted by name; see {@link Glob}. */
  public List<FileStatus> glob(String pattern) throws IOException {
    return new Glob(this).find(pattern);
  }

  /** Starts a file that appears under its name only when it is complete and on disk. */
  public AtomicFile createAtomically(Path target) throws IOException {
    FileSystem fileSystem = fileSystem(target);
    fileSystem.mkdirs(target.getParent());
    Path temporary =
        fileSystem.hasPathCapability(target, CommonPathCapabilities.ABORTABLE_STREAM)
            ? target
            : new Path(
                target.getParent(), "." + target.getName() + "." + UUID.randomUUID() + ".tmp");
    FSDataOutputStream stream = fileSystem.create(temporary, true);
    return new AtomicFile(this, temporary, target, stream);
  }

  /** Replaces a small file in one step. */
  public void publish(Path target, byte[] content) throws IOException {
    try (AtomicFile file = createAtomically(target)) {
      file.stream().write(content);
      file.commit();
    }
  }

  public void delete(Path path) throws IOException {
    fileSystem(path).delete(path, true);
  }

  /** Atomically renames over whatever file is there, and makes the new name durable. */
  void replace(Path from, Path to) throws IOException {
    if (isLocal(to)) {
      java.nio.file.Path target = java.nio.file.Path.of(to.toUri().getPath());
      Files.move(
          java.nio.file.Path.of(from.toUri().getPath()), target, StandardCopyOption.ATOMIC_MOVE);
      try (FileChannel folder = FileChannel.open(target.getParent(), StandardOpenOption.READ)) {
        folder.force(true);
      }
      return;
    }
    FileContext.getFileContext(to.toUri(), configuration)
        .rename(from, to, Options.Rename.OVERWRITE);
  }

  /**
   * Waits until this process alone may write what the name stands for into a folder. Local folders
   * only: elsewhere the returned lock does nothing, and writers must be safe by writing the same
   * bytes.
   */
  public FolderLock lock(Path folder, String name) throws IOException {
    fileSystem(folder).mkdirs(folder);
    return isLocal(folder)
        ? FolderLock.acquire(
            java.nio.file.Path.of(folder.toUri().getPath()).resolve("." + name + ".lock"))
        : FolderLock.none();
  }

  /** Removes what a killed writer of files with these prefixes left; only under the lock. */
  public void deleteTemporaries(Path folder, String... prefixes) throws IOException {
    for (FileStatus file : list(folder)) {
      String name = file.getPath().getName();
      if (name.endsWith(".tmp")
          && Arrays.stream(prefixes).anyMatch(prefix -> name.startsWith("." + prefix))) {
        delete(file.getPath());
      }
    }
  }

  public boolean isLocal(Path path) {
    return "file".equals(fileSystem(path).getUri().getScheme());
  }

  static String firstLine(Throwable e) {
    String message = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    return message.lines().findFirst().orElse(e.getClass().getSimpleName());
  }

  /** One line for the user about a failed read or write. */
  public static StorageException failed(String action, Path path, IOException e) {
    return new StorageException("cannot " + action + " '" + path + "': " + firstLine(e), e);
  }

  /**
   * Of a local file the exception stands for anything that keeps it from being opened, such as too
   * many open files, a forbidden folder or a mount that is gone.
   */
  private UserException missing(Path path, FileNotFoundException cause) throws IOException {
    if (isLocal(path) && !Files.notExists(java.nio.file.Path.of(path.toUri().getPath()))) {
      throw cause;
    }
    return new UserException("'" + path + "' does not exist; check the path", cause);
  }
}
