package org.pretrain4j.data.storage;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.configuration.StorageException;

/**
 * Pieces of remote files on a local disk, bounded in bytes, least recently used out first. What was
 * asked for ahead of time is fetched in threads, so that a reader whose data is warm never waits
 * for the network. The content outlives the process: a restarted run finds it warm.
 *
 * <p>Processes of a machine may share a folder: what one has fetched the others find, and the bound
 * holds for all of them together, but for a thirty-second of it and a piece that each may be ahead
 * before it looks at the folder again. A piece is not kept where others that are being written need
 * the room.
 *
 * <p>Only the cache's own files count and are deleted: those that end with {@code .piece}, and
 * unfinished ones with {@code .piece.<uuid>.tmp}.
 *
 * <p>Whoever reads verifies the pieces and calls {@link #forget} on a bad one. When the disk fails
 * or is full, reading goes on without the cache, after a warning. Thread-safe.
 */
public final class LocalCache implements Pieces, AutoCloseable {
  private static final Logger LOG = LogManager.getLogger(LocalCache.class);
  // A piece larger than this share of the cache would push out too much of the rest.
  private static final int LARGEST_SHARE = 4;
  private static final int FETCHERS = 8;
  // Written share after which a process looks what others have written.
  private static final int SHARE_AHEAD = 32;
  private static final String LOCK = ".lock";
  private static final String PIECE = ".piece";
  private static final Pattern UNFINISHED =
      Pattern.compile(".*" + Pattern.quote(PIECE) + "\\.[0-9a-f-]{36}\\.tmp");

  private final Path folder;
  private final long maxBytes;
  private final RecentPieces pieces;
  private long sinceInventory;
  private boolean warned;
  private final ConcurrentMap<String, CompletableFuture<byte[]>> coming = new ConcurrentHashMap<>();
  private final ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor();
  private final Semaphore fetchers = new Semaphore(FETCHERS);
  private long hits;
  private long misses;

  /**
   * @param folder on a local disk; other caches with the same bound may use it
   * @param maxBytes of all pieces in the folder
   * @throws StorageException if the folder cannot be used
   */
  public LocalCache(Path folder, long maxBytes) {
    this.folder = folder;
    this.maxBytes = maxBytes;
    this.pieces = new RecentPieces(maxBytes);
    try {
      Files.createDirectories(folder);
      takeInventory(FolderLock.acquire(folder.resolve(LOCK)));
    } catch (IOException e) {
      throw new StorageException(
          "cannot use the cache folder '" + folder + "': " + e.getMessage(), e);
    }
  }

  /** Under a lock, so that of several processes that find too much only one removes it. */
  private void takeInventory(FolderLock lock) throws IOException {
    synchronized (this) {
      sinceInventory = 0;
    }
    try {
      pieces.look();
      pieces.found(found()).forEach(this::delete);
    } finally {
      lock.close();
    }
  }

  /** Sizes of the pieces on the disk by their keys, the least recently used first. */
  private Map<String, Long> found() throws IOException {
    record Found(String key, long size, FileTime time) {}
    List<Found> found = new ArrayList<>();
    try (var files = Files.list(folder)) {
      for (Path file : listed(files)) {
        String name = file.getFileName().toString();
        try {
          if (UNFINISHED.matcher(name).matches()) {
            // Of a writer that was killed, unless it is fresh.
            if (Files.getLastModifiedTime(file).toMillis() < System.currentTimeMillis() - 60_000) {
              Files.deleteIfExists(file);
            }
          } else if (name.endsWith(PIECE) && Files.isRegularFile(file)) {
            String key = name.substring(0, name.length() - PIECE.length());
            found.add(new Found(key, Files.size(file), Files.getLastModifiedTime(file)));
          }
        } catch (NoSuchFileException e) {
          // Another process evicted it.
          continue;
        }
      }
    }
    found.sort(Comparator.comparing(Found::time));
    Map<String, Long> sizes = new LinkedHashMap<>();
    found.forEach(file -> sizes.put(file.key(), file.size()));
    return sizes;
  }

  private static List<Path> listed(Stream<Path> files) throws IOException {
    try {
      return files.toList();
    } catch (UncheckedIOException e) {
      // A disk that fails, which reading goes on without.
      throw e.getCause();
    }
  }

  /** A piece, from the disk if it is there, else fetched and kept. */
  @Override
  public byte[] get(String key, Fetch fetch) throws IOException {
    CompletableFuture<byte[]> ahead = coming.get(key);
    if (ahead != null) {
      try {
        return ahead.join();
      } catch (CompletionException e) {
        // The fetch ahead failed; what matters is whether this one does.
        LOG.debug("fetching {} ahead failed", key, e.getCause());
      }
    }
    byte[] kept = read(key);
    count(kept != null);
    if (kept != null) {
      return kept;
    }
    byte[] fetched = fetch.fetch();
    write(key, fetched);
    return fetched;
  }

  @Override
  public void prefetch(String key, Fetch fetch) {
    if (contains(key) || coming.containsKey(key) || !fetchers.tryAcquire()) {
      return;
    }
    CompletableFuture<byte[]> future = new CompletableFuture<>();
    if (coming.putIfAbsent(key, future) != null) {
      fetchers.release();
      return;
    }
    try {
      pool.execute(() -> fetchAhead(key, fetch, future));
    } catch (RejectedExecutionException e) {
      // The cache is being closed; who waits fetches the piece itself.
      future.completeExceptionally(e);
      coming.remove(key);
      fetchers.release();
    }
  }

  private void fetchAhead(String key, Fetch fetch, CompletableFuture<byte[]> future) {
    try {
      byte[] fetched = fetch.fetch();
      // Whoever waits for it need not wait for the disk.
      future.complete(fetched);
      write(key, fetched);
    } catch (Throwable e) {
      // Whatever it was, nobody may wait for ever; the reader's own fetch shows it again.
      future.completeExceptionally(e);
    } finally {
      coming.remove(key);
      fetchers.release();
    }
  }

  @Override
  public void forget(String key) {
    pieces.remove(key);
    delete(key);
  }

  private boolean contains(String key) {
    return pieces.contains(key) || Files.exists(file(key));
  }

  private Path file(String key) {
    return folder.resolve(key + PIECE);
  }

  private synchronized void count(boolean hit) {
    hits += hit ? 1 : 0;
    misses += hit ? 0 : 1;
  }

  private byte[] read(String key) {
    Path file = file(key);
    byte[] content;
    try {
      content = Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      pieces.remove(key);
      return null;
    } catch (IOException e) {
      // The disk failed: fetch it again.
      forget(key);
      return null;
    }
    try {
      // The order of use, also for the other processes and after a restart.
      Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
      pieces.used(key, content.length).forEach(this::delete);
    } catch (NoSuchFileException e) {
      // Another process evicted it since it was read.
      pieces.remove(key);
    } catch (IOException e) {
      warn(e);
    }
    return content;
  }

  private void write(String key, byte[] content) {
    if (content.length > maxBytes / LARGEST_SHARE) {
      return;
    }
    Optional<List<String>> tooMany = pieces.reserve(content.length);
    if (tooMany.isEmpty()) {
      return;
    }
    // Before there is more, not after it.
    tooMany.get().forEach(this::delete);
    Path temporary = folder.resolve(key + PIECE + "." + UUID.randomUUID() + ".tmp");
    boolean written = false;
    try {
      Files.write(temporary, content);
      Files.setLastModifiedTime(temporary, FileTime.from(Instant.now()));
      Files.move(temporary, file(key), StandardCopyOption.ATOMIC_MOVE);
      written = true;
    } catch (IOException e) {
      warn(e);
      try {
        Files.deleteIfExists(temporary);
      } catch (IOException again) {
        e.addSuppressed(again);
      }
      return;
    } finally {
      if (!written) {
        pieces.notWritten(content.length);
      }
    }
    pieces.written(key, content.length).forEach(this::delete);
    try {
      if (isAhead(content.length)) {
        // While another one looks, nobody waits for it: this one looks after its next piece.
        Optional<FolderLock> lock = FolderLock.tryAcquire(folder.resolve(LOCK));
        if (lock.isPresent()) {
          takeInventory(lock.get());
        }
      }
    } catch (IOException e) {
      warn(e);
    }
  }

  private synchronized boolean isAhead(long written) {
    sinceInventory += written;
    return sinceInventory > maxBytes / SHARE_AHEAD;
  }

  private void delete(String key) {
    try {
      Files.deleteIfExists(file(key));
    } catch (IOException e) {
      warn(e);
    }
  }

  private synchronized void warn(IOException e) {
    if (!warned) {
      warned = true;
      LOG.warn("the local cache {} fails, reading goes on without it: {}", folder, e.toString());
    }
  }

  /** Bytes on the disk as this process knows. */
  public long bytes() {
    return pieces.bytes();
  }

  /** Pieces found on the disk, as a share of those asked for and not on their way. */
  public synchronized double hitRate() {
    return (double) hits / (hits + misses);
  }

  /** Ends what is fetched ahead; the content stays. */
  @Override
  public void close() {
    pool.shutdownNow();
    pool.close();
  }
}
