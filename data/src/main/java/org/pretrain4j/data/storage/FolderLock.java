package org.pretrain4j.data.storage;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.Semaphore;

/**
 * Exclusive use of something in a local folder among processes (the operating system frees it when
 * a process dies) and among the threads of this one.
 */
public final class FolderLock implements AutoCloseable {
  // File locks belong to the whole JVM, so that threads need a lock of their own.
  private static final ConcurrentMap<Path, Semaphore> THREADS = new ConcurrentHashMap<>();

  private final FileChannel channel;
  private final Semaphore threads;

  private FolderLock(FileChannel channel, Semaphore threads) {
    this.channel = channel;
    this.threads = threads;
  }

  static FolderLock none() {
    return new FolderLock(null, null);
  }

  static FolderLock acquire(Path file) throws IOException {
    Semaphore threads = threads(file);
    threads.acquireUninterruptibly();
    FileChannel channel = null;
    try {
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      channel.lock();
      return new FolderLock(channel, threads);
    } catch (IOException | RuntimeException e) {
      threads.release();
      if (channel != null) {
        channel.close();
      }
      throw e;
    }
  }

  /** Of the file, by whatever name its folder is reached. */
  private static Semaphore threads(Path file) throws IOException {
    Path folder = file.toAbsolutePath().getParent().toRealPath();
    return THREADS.computeIfAbsent(folder.resolve(file.getFileName()), key -> new Semaphore(1));
  }

  /** The lock, unless another process or thread holds it. */
  static Optional<FolderLock> tryAcquire(Path file) throws IOException {
    Semaphore threads = threads(file);
    if (!threads.tryAcquire()) {
      return Optional.empty();
    }
    FileChannel channel = null;
    boolean held = false;
    try {
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      held = channel.tryLock() != null;
      return held ? Optional.of(new FolderLock(channel, threads)) : Optional.empty();
    } finally {
      if (!held) {
        threads.release();
        if (channel != null) {
          channel.close();
        }
      }
    }
  }

  /** True if other writers are kept out. */
  public boolean exclusive() {
    return channel != null;
  }

  @Override
  public void close() throws IOException {
    if (channel != null) {
      try {
        channel.close();
      } finally {
        threads.release();
      }
    }
  }
}
