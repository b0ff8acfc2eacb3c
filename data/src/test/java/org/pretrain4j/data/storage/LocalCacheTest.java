package org.pretrain4j.data.storage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
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
      Files.delete(folder.resolve("piece-1"));
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

  @Test
  @Timeout(20)
  void aFetchAheadThatDiesLeavesNobodyWaiting() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    try (LocalCache cache = new LocalCache(folder, 1000)) {
      cache.prefetch(
          "piece-1",
          () -> {
            go.countDown();
            throw new StackOverflowError("of the storage's client");
          });
      go.await();
      assertEquals(1, get(cache, 1)[0]);
    }
    LocalCache closed = new LocalCache(folder, 1000);
    closed.close();
    closed.prefetch("piece-2", () -> fetch(2));
    assertEquals(2, get(closed, 2)[0]);
  }
}
