package org.pretrain4j.checkpoints.storage;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * A Hadoop file system with the operations that durable publishing needs: what is synced stays,
 * what is renamed is renamed whole, and every failure is an {@link IOException}.
 *
 * <p>Local paths bypass Hadoop's checksumming wrapper (its {@code .crc} files can't be synced
 * together with their data) and its copying streams, and their folders are synced too, because a
 * rename is only durable once its folder is. Other file systems (hdfs) make renames durable
 * themselves.
 */
public final class DurableFileSystem {

  /** Makes the entries of a folder durable. */
  @FunctionalInterface
  public interface FolderSync {
    void sync(Path folder) throws IOException;
  }

  private static final Logger LOG = LogManager.getLogger(DurableFileSystem.class);

  private final FileSystem files;
  private final FolderSync folderSync;
  private final boolean local;

  /** For file systems that need their own way to sync a folder. */
  public DurableFileSystem(FileSystem files, FolderSync folderSync) {
    this.files = files;
    this.folderSync = folderSync;
    this.local = files.getClass() == RawLocalFileSystem.class;
  }

  /** Wraps a file system, choosing the way to sync a folder by its kind. */
  public static DurableFileSystem of(FileSystem files) {
    FileSystem raw = files instanceof LocalFileSystem local ? local.getRawFileSystem() : files;
    return new DurableFileSystem(
        raw,
        raw instanceof RawLocalFileSystem
            ? DurableFileSystem::syncLocalFolder
            : folder -> {
              // The server makes the entries of a folder durable.
            });
  }

  /** This one if the path is on it, else the one that the path is on. */
  public DurableFileSystem holding(Path path) throws IOException {
    return files.getUri().getScheme().equals(path.toUri().getScheme())
            && Objects.equals(files.getUri().getAuthority(), path.toUri().getAuthority())
        ? this
        : of(path.getFileSystem(new Configuration()));
  }

  private java.nio.file.Path localPath(Path path) {
    return java.nio.file.Path.of(qualify(path).toUri().getPath());
  }

  private static void syncLocalFolder(Path folder) throws IOException {
    if (System.getProperty("os.name").startsWith("Windows")) {
      return; // Windows neither allows nor needs it.
    }
    java.nio.file.Path local = java.nio.file.Path.of(folder.toUri().getPath());
    try (FileChannel channel = FileChannel.open(local, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /** The path with scheme and authority, for messages and for comparison. */
  public Path qualify(Path path) {
    return files.makeQualified(path);
  }

  /** Creates (or empties) a file whose blocks are checksummed while they are written. */
  public ChecksummedOutput create(Path path, int blockBytes) throws IOException {
    return new ChecksummedOutput(
        local ? createLocal(localPath(path)) : new HadoopSink(files.create(path, true)),
        blockBytes);
  }

  /** Creates folders on the way, as Hadoop's file systems do. */
  private static LocalSink createLocal(java.nio.file.Path file) throws IOException {
    Files.createDirectories(file.getParent());
    return new LocalSink(
        openLocal(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE));
  }

  /** With messages that say what is wrong; Java's own hold nothing but the name of the file. */
  private static FileChannel openLocal(java.nio.file.Path file, OpenOption... options)
      throws IOException {
    try {
      return FileChannel.open(file, options);
    } catch (NoSuchFileException e) {
      throw (IOException) new FileNotFoundException(file + " does not exist").initCause(e);
    } catch (AccessDeniedException e) {
      throw new IOException("no permission for " + file, e);
    }
  }

  /** Writes a small file whole and syncs it. */
  public void write(Path path, byte[] content) throws IOException {
    try (ChecksummedOutput out = create(path, Math.max(1, content.length))) {
      out.write(content, 0, content.length);
      out.finish();
    }
  }

  /** Opens a file for positioned reads. */
  public FSDataInputStream open(Path path) throws IOException {
    return files.open(path);
  }

  /** Opens a file for reads of large pieces. */
  PositionedInput openPositioned(Path path) throws IOException {
    return local
        ? new PositionedInput.Local(openLocal(localPath(path), StandardOpenOption.READ))
        : new PositionedInput.Hadoop(files.open(path));
  }

  /**
   * Reads a small file whole.
   *
   * @throws IOException also if it is larger than 1 GiB, which no manifest is
   */
  public byte[] read(Path path) throws IOException {
    long length = length(path);
    if (length > 1L << 30) {
      throw new IOException(path + " has " + length + " bytes, too many for a file of this kind");
    }
    byte[] content = new byte[(int) length];
    try (FSDataInputStream in = open(path)) {
      in.readFully(0, content);
    } catch (FSError e) {
      throw new IOException(e.getMessage(), e);
    }
    return content;
  }

  /** Size of a file in bytes. */
  public long length(Path path) throws IOException {
    return files.getFileStatus(path).getLen();
  }

  public boolean exists(Path path) throws IOException {
    return files.exists(path);
  }

  /** The entries of a folder by name; none if there is no such folder. */
  public List<FileStatus> list(Path folder) throws IOException {
    try {
      FileStatus[] found = files.listStatus(folder);
      Arrays.sort(found);
      return List.of(found);
    } catch (FileNotFoundException e) {
      return List.of();
    }
  }

  /**
   * Creates a folder and its parents, and makes it durable, also if it is there already: a process
   * that was killed, or another rank, may have made it and not come to that.
   */
  public void createFolder(Path folder) throws IOException {
    Path parent = folder.getParent();
    if (files.exists(folder)) {
      if (!files.getFileStatus(folder).isDirectory()) {
        throw new IOException(folder + " is a file where a folder is needed");
      }
      if (parent != null) {
        syncIfAllowed(parent);
      }
      return;
    }
    if (parent != null) {
      createFolder(parent);
    }
    if (!files.mkdirs(folder)) {
      throw new IOException("could not create the folder " + folder);
    }
    if (parent != null) {
      folderSync.sync(parent);
    }
  }

  /** For folders in which nothing was made just now, and whose disk need not allow it. */
  private void syncIfAllowed(Path folder) throws IOException {
    try {
      folderSync.sync(folder);
    } catch (AccessDeniedException e) {
      LOG.debug("{} is left to its owner: {}", folder, e.getMessage());
    } catch (IOException e) {
      LOG.warn("{} can't be synced: {}", folder, e.getMessage());
    }
  }

  /** Makes the entries of a folder (creations, renames, deletions) durable. */
  public void syncFolder(Path folder) throws IOException {
    folderSync.sync(folder);
  }

  /**
   * Renames and makes that durable.
   *
   * @throws IOException if the target exists or the rename was refused
   */
  public void rename(Path from, Path to) throws IOException {
    renameUnsynced(from, to);
    folderSync.sync(to.getParent());
  }

  /**
   * Renames, leaving it to someone else to sync the folder.
   *
   * @throws IOException if the target exists or the rename was refused
   */
  public void renameUnsynced(Path from, Path to) throws IOException {
    if (files.exists(to)) {
      throw new IOException("can't rename " + from + ": " + to + " exists");
    }
    if (local) {
      moveLocal(localPath(from), localPath(to));
    } else if (!files.rename(from, to)) {
      throw new IOException("could not rename " + from + " to " + to);
    }
  }

  /** Hadoop's own rename copies and deletes where the system refuses, which is not atomic. */
  private static void moveLocal(java.nio.file.Path from, java.nio.file.Path to) throws IOException {
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    } catch (FileSystemException e) {
      String reason = e.getReason() == null ? e.getClass().getSimpleName() : e.getReason();
      throw new IOException("could not rename %s to %s: %s".formatted(from, to, reason), e);
    }
  }

  /** Deletes a file or a folder with all that is in it; nothing happens if it is not there. */
  public void delete(Path path) throws IOException {
    if (!files.delete(path, true) && files.exists(path)) {
      throw new IOException("could not delete " + path);
    }
  }
}
