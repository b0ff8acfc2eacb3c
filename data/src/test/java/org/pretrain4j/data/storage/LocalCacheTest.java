package org.pretrain4j.data.storage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class LocalCacheTest {
  @TempDir Path folder;

  private final AtomicInteger fetches = new AtomicInteger();

  private byte[] get(LocalCache cache, int piece) throws IOException {
    return cache.get("piece-" + piece, () -> fetch(piece));
  }

  private byte[] fetch(int piece) {
    fetches.incrementAndGet();
    byte[] content = new byte[100];
    Arrays.fill(content, (byte) piece);
    return content;
  }

  private long bytesOnDisk() throws IOException {
    try (var files = Files.list(folder)) {
      return files.mapToLong(file -> file.toFile().length()).sum();
    }
  }

  @Test
  void keepsTheMostRecentWithinItsBytesAndOverRestarts() throws Exception {
    try (LocalCache cache = new LocalCache(folder, 1000)) {
      for (int i = 0; i < 30; i++) {
        assertEquals(i, get(cache, i)[99]);
        assertEquals(0, get(cache, 0)[99]);
        assertTrue(bytesOnDisk() <= 1000);
      }
      assertEquals(30, fetches.get());
    }
    try (LocalCache cache = new LocalCache(folder, 1000)) {
      for (int i = 25; i < 30; i++) {
        get(cache, i);
      }
      assertEquals(30, fetches.get());
      assertEquals(1, cache.hitRate());
    }
  }

  /** Two caches of one folder, as two processes of a machine have them. */
  @Test
  void theBoundHoldsForAllWhoShareAFolderAndTheyShareWhatTheyFetch() throws Exception {
    long most = 6400;
    try (LocalCache one = new LocalCache(folder, most);
        LocalCache other = new LocalCache(folder, most)) {
      for (int i = 0; i < 60; i++) {
        get(one, i);
        assertEquals(i, get(other, i)[99]);
      }
      assertEquals(60, fetches.get());
      for (int i = 60; i < 400; i++) {
        get(i % 3 == 0 ? one : other, i);
        assertTrue(bytesOnDisk() <= most + 2 * most / 32, "piece " + i + ": " + bytesOnDisk());
      }
      for (int i = 395; i < 400; i++) {
        get(i % 3 == 0 ? other : one, i);
      }
      assertEquals(400, fetches.get(), "the latest pieces stay, whoever fetched them");
      assertTrue(bytesOnDisk() > most * 3 / 4, "no more is removed than must: " + bytesOnDisk());
    }
  }

  @Test
  @Timeout(60)
  void whatItCountsIsWithinTheBoundAtEveryMomentHoweverManyFetchAtOnce() throws Exception {
    LocalCache cache = new LocalCache(folder, 1000);
    try (cache;
        var readers = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Long>> most = new ArrayList<>();
      for (int reader = 0; reader < 8; reader++) {
        int first = 1000 * reader;
        most.add(
            readers.submit(
                () -> {
                  long largest = 0;
                  for (int piece = first; piece < first + 200; piece++) {
                    int ahead = piece + 1;
                    cache.prefetch("piece-" + ahead, () -> fetch(ahead));
                    get(cache, piece);
                    largest = Math.max(largest, cache.bytes());
                  }
                  return largest;
                }));
      }
      for (Future<Long> seen : most) {
        assertTrue(seen.get() <= 1000, seen.get() + " bytes");
      }
    }
    assertTrue(cache.bytes() >= 100, "the last that was written is there");
    assertTrue(bytesOnDisk() <= 1000, bytesOnDisk() + " bytes");
  }

  @Test
  void writesThatFailGiveTheirRoomBack() throws Exception {
    Path moved = folder.resolve("moved");
    Path place = folder.resolve("place");
    try (LocalCache cache = new LocalCache(place, 1000)) {
      Files.move(place, moved);
      for (int i = 0; i < 30; i++) {
        assertEquals(i, get(cache, i)[99]);
      }
      Files.move(moved, place);
      for (int time = 0; time < 2; time++) {
        for (int i = 0; i < 10; i++) {
          get(cache, i);
        }
      }
      assertEquals(30 + 10, fetches.get(), "all ten have room");
      assertEquals(1000, cache.bytes());
    }
  }

  @Test
  void aFolderThatIsReachedByTwoNamesHasOneLock() throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve("link"), folder);
    try (FolderLock lock = FolderLock.acquire(folder.resolve(".lock"))) {
      assertTrue(lock.exclusive());
      assertTrue(FolderLock.tryAcquire(link.resolve(".lock")).isEmpty());
    }
    FolderLock.tryAcquire(link.resolve(".lock")).orElseThrow().close();
  }

  @Test
  void filesThatAreNotTheCachesStayAndDoNotCount() throws Exception {
    List<Path> foreign =
        List.of(
            folder.resolve("notes.txt"),
            folder.resolve("download.tmp"),
            folder.resolve("a.piece.download.tmp"),
            folder.resolve("piece-1"));
    Path unfinished = folder.resolve("piece-7.piece." + UUID.randomUUID() + ".tmp");
    for (Path file : foreign) {
      Files.write(file, new byte[5000]);
      Files.setLastModifiedTime(file, FileTime.fromMillis(1));
    }
    Files.createDirectories(folder.resolve("folder.piece"));
    Files.write(unfinished, new byte[50]);
    Files.setLastModifiedTime(unfinished, FileTime.fromMillis(1));
    for (int restart = 0; restart < 2; restart++) {
      try (LocalCache cache = new LocalCache(folder, 1000)) {
        assertTrue(Files.notExists(unfinished), "of a writer that was killed");
        for (int i = 0; i < 30; i++) {
          get(cache, i);
        }
        assertEquals(1000, cache.bytes());
      }
      for (Path file : foreign) {
        assertEquals(5000, Files.size(file), file.toString());
      }
      assertTrue(Files.exists(folder.resolve("folder.piece")));
    }
  }

  @Test
  void nobodyWaitsForAnotherOnesCountAndTheBoundHoldsAfterIt() throws Exception {
    long most = 6400;
    try (LocalCache one = new LocalCache(folder, most);
        LocalCache other = new LocalCache(folder, most)) {
      FolderLock counting = FolderLock.acquire(folder.resolve(".lock"));
      try {
        assertTimeoutPreemptively(
            Duration.ofSeconds(20),
            () -> {
              for (int i = 0; i < 200; i++) {
                assertEquals((byte) i, get(i % 2 == 0 ? one : other, i)[99]);
              }
            });
      } finally {
        counting.close();
      }
      assertTrue(bytesOnDisk() > most, "each knew its own only: " + bytesOnDisk());
      get(one, 200);
      assertTrue(bytesOnDisk() <= most, bytesOnDisk() + " bytes");
    }
  }

  @Test
  void whatIsOnItsWayIsNotFetchedTwice() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    try (LocalCache cache = new LocalCache(folder, 1000)) {
      cache.prefetch(
          "piece-1",
          () -> {
            try {
              go.await();
            } catch (InterruptedException e) {
              throw new IOException(e);
            }
            return fetch(1);
          });
      Thread.ofPlatform().start(go::countDown);
      assertArrayEquals(get(cache, 1), get(cache, 1));
      assertEquals(1, fetches.get());
    }
  }

  @Test
  void aForgottenOrLostPieceIsFetchedAgain() throws Exception {
    try (LocalCache cache = new LocalCache(folder, 1000)) {
      get(cache, 1);
      cache.forget("piece-1");
      get(cache, 1);
      Files.delete(folder.resolve("piece-1.piece"));
      get(cache, 1);
      assertEquals(3, fetches.get());
      assertEquals(100, cache.bytes());
    }
  }

  @Test
  void failuresAreNotKeptAndLargePiecesNotAdmitted() throws Exception {
    try (LocalCache cache = new LocalCache(folder, 1000)) {
      assertThrows(
          IOException.class,
          () ->
              cache.get(
                  "piece-1",
                  () -> {
                    throw new IOException("no route");
                  }));
      assertEquals(1, get(cache, 1)[0]);
      assertEquals(500, cache.get("large", () -> new byte[500]).length);
      assertEquals(100, bytesOnDisk());
    }
  }

  /** The reader waits for the fetch ahead when it dies, and then fetches the piece itself. */
  private void getWhileAFetchAheadDies(Pieces pieces) throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    pieces.prefetch(
        "piece-1",
        () -> {
          try {
            go.await();
          } catch (InterruptedException e) {
            throw new IOException(e);
          }
          throw new StackOverflowError("of the storage's client");
        });
    AtomicReference<byte[]> found = new AtomicReference<>();
    Thread reader =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    found.set(pieces.get("piece-1", () -> fetch(1)));
                  } catch (IOException e) {
                    throw new IllegalStateException(e);
                  }
                });
    while (reader.getState() != Thread.State.WAITING) {
      Thread.sleep(1);
    }
    assertEquals(0, fetches.get(), "the reader waits for what is on its way");
    go.countDown();
    reader.join();
    assertEquals(1, found.get()[0]);
    assertEquals(1, fetches.get());
  }

  @Test
  @Timeout(20)
  void aFetchAheadIntoMemoryThatDiesLeavesNobodyWaiting() throws Exception {
    getWhileAFetchAheadDies(new FetchAhead(4));
  }

  @Test
  void whatIsFetchedAheadIntoMemoryIsHandedOutOnceAndBoundedInNumber() throws Exception {
    FetchAhead ahead = new FetchAhead(4);
    for (int i = 0; i < 20; i++) {
      int piece = i;
      ahead.prefetch("piece-" + piece, () -> fetch(piece));
      ahead.prefetch("piece-" + piece, () -> fetch(piece));
    }
    for (int i = 16; i < 20; i++) {
      assertEquals(i, ahead.get("piece-" + i, () -> new byte[100])[0]);
    }
    ahead.prefetch("piece-1", () -> fetch(1));
    ahead.forget("piece-1");
    for (int i = 0; i < 20; i++) {
      assertEquals(99, ahead.get("piece-" + i, () -> new byte[] {99})[0]);
    }
  }

  @Test
  @Timeout(20)
  void aFetchAheadThatDiesLeavesNobodyWaiting() throws Exception {
    try (LocalCache cache = new LocalCache(folder, 1000)) {
      getWhileAFetchAheadDies(cache);
    }
    LocalCache closed = new LocalCache(folder, 1000);
    closed.close();
    closed.prefetch("piece-2", () -> fetch(2));
    assertEquals(2, get(closed, 2)[0]);
    assertEquals(2, fetches.get());
  }
}
