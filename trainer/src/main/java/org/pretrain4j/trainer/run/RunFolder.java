package org.pretrain4j.trainer.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.checkpoints.DataChange;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.configuration.StorageException;
import org.pretrain4j.configuration.UserException;

/**
 * The folder of a run on the local disk: {@code config.yaml} (resolved), {@code metrics.jsonl},
 * {@code ranks.jsonl}, {@code train.log}, {@code data-changes.json} if there were any. Locked while
 * a process trains in it.
 */
final class RunFolder implements AutoCloseable {
  static final String CONFIG = "config.yaml";
  static final String DATA_CHANGES = "data-changes.json";
  private static final String LOCK = "run.lock";
  private static final Logger LOG = LogManager.getLogger();
  private static final Duration AGAIN = Duration.ofMillis(200);

  private final Path path;
  private final FileChannel lockFile;

  private RunFolder(Path path, FileChannel lockFile) {
    this.path = path;
    this.lockFile = lockFile;
  }

  /**
   * Creates the folder where it is missing, and locks it.
   *
   * @param patience how long to wait for another process that trains in it: the one that a launcher
   *     replaces may still be ending
   * @throws UserException if it is no path of a file system of this machine, or can't be written,
   *     or if another process trains in it and there is no patience
   * @throws IllegalStateException if another process still trains in it in the end
   */
  static RunFolder open(RunConfig config, Duration patience) {
    String name = config.runFolder().orElseThrow();
    if (name.matches("[A-Za-z][A-Za-z0-9+.-]*:/.*")) {
      throw new UserException(
          "run_folder is "
              + name
              + ", expected a path of this machine or of a shared file system; only data and"
              + " checkpoints.folder may be elsewhere");
    }
    Path path = Path.of(name);
    try {
      createDurably(path.toAbsolutePath());
      FileChannel channel =
          FileChannel.open(path.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      if (!lock(channel, patience)) {
        channel.close();
        String message =
            "another process trains in " + path + "; wait for it, stop it, or set another name";
        throw patience.isZero() ? new UserException(message) : new IllegalStateException(message);
      }
      return new RunFolder(path, channel);
    } catch (IOException e) {
      String message =
          "the run folder " + path + " can't be written (" + e.getMessage() + "); set run_folder";
      boolean mistaken = e instanceof AccessDeniedException || isWithinAFile(path);
      throw mistaken ? new UserException(message, e) : new StorageException(message, e);
    }
  }

  /** What is saved within it must not be lost with the folder's own entry in a power cut. */
  private static void createDurably(Path path) throws IOException {
    List<Path> made = new ArrayList<>();
    for (Path each = path; each != null && !Files.exists(each); each = each.getParent()) {
      made.add(each);
    }
    Files.createDirectories(path);
    for (Path each : made) {
      try (FileChannel parent = FileChannel.open(each.getParent(), StandardOpenOption.READ)) {
        parent.force(true);
      } catch (IOException e) {
        LOG.warn("{} can't be synced: {}", each.getParent(), e.getMessage());
      }
    }
  }

  private static boolean isWithinAFile(Path path) {
    Path existing = path.toAbsolutePath();
    while (existing != null && !Files.exists(existing)) {
      existing = existing.getParent();
    }
    return existing != null && !Files.isDirectory(existing);
  }

  private static boolean lock(FileChannel channel, Duration patience) throws IOException {
    long end = System.nanoTime() + patience.toNanos();
    while (!lock(channel)) {
      if (System.nanoTime() - end >= 0 || Thread.currentThread().isInterrupted()) {
        return false;
      }
      LockSupport.parkNanos(AGAIN.toNanos());
    }
    return true;
  }

  private static boolean lock(FileChannel channel) throws IOException {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false;
    }
  }

  Path path() {
    return path;
  }

  /** Whether a run has done a step here. */
  boolean isUsed() {
    return path.resolve(MetricsLog.FILE_NAME).toFile().length() > 0;
  }

  void write(RunConfig config) {
    write(CONFIG, ConfigurationWriter.toYaml(config));
  }

  /** Writes all changes of the run's data. */
  void write(List<DataChange> changes) {
    try {
      JsonMapper mapper =
          JsonMapper.builder()
              .enable(SerializationFeature.INDENT_OUTPUT)
              .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
              .build();
      write(DATA_CHANGES, mapper.writeValueAsString(changes) + "\n");
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a record that can't be written", e);
    }
  }

  private void write(String name, String content) {
    Path file = path.resolve(name);
    Path next = path.resolve(name + ".next");
    try {
      Files.writeString(next, content, StandardCharsets.UTF_8);
      Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new StorageException(file + " can't be written: " + e.getMessage(), e);
    }
  }

  /** Unlocks. */
  @Override
  public void close() {
    try {
      lockFile.close();
    } catch (IOException e) {
      throw new StorageException(path.resolve(LOCK) + " can't be closed: " + e.getMessage(), e);
    }
  }
}
