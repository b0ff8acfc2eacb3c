package org.pretrain4j.data.shards;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class BlockCacheTest {
  private static BlockCache.Key key(int block) {
    return new BlockCache.Key("shard", block);
  }

  private static Block block() {
    return new Block(new int[100], new int[0]);
  }

  @Test
  void keepsTheMostRecentWithinItsBytes() {
    BlockCache cache = new BlockCache(3 * block().bytes());
    AtomicInteger loads = new AtomicInteger();
    for (int i : new int[] {0, 1, 2, 0, 3, 0, 1}) {
      cache.get(
          key(i),
          () -> {
            loads.incrementAndGet();
            return block();
          });
      assertTrue(cache.bytes() <= 3 * block().bytes());
    }
    assertEquals(5, loads.get(), "0 stays, 1 is loaded twice");
  }

  @Test
  void threadsShareOneLoad() throws Exception {
    BlockCache cache = new BlockCache(1 << 20);
    AtomicInteger loads = new AtomicInteger();
    CountDownLatch go = new CountDownLatch(1);
    List<Future<Block>> results = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(8)) {
      for (int i = 0; i < 8; i++) {
        results.add(
            pool.submit(
                () -> {
                  go.await();
                  return cache.get(
                      key(0),
                      () -> {
                        loads.incrementAndGet();
                        return block();
                      });
                }));
      }
      go.countDown();
      for (Future<Block> result : results) {
        assertSame(results.getFirst().get(), result.get());
      }
    }
    assertEquals(1, loads.get());
  }

  @Test
  void aFailedLoadIsTriedAgain() {
    BlockCache cache = new BlockCache(1 << 20);
    assertThrows(
        ShardException.class,
        () ->
            cache.get(
                key(0),
                () -> {
                  throw new ShardException("f", "broken");
                }));
    Block block = block();
    assertSame(block, cache.get(key(0), () -> block));
  }
}
