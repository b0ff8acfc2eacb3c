package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class WorkerPoolTest {
  @Test
  void everyItemIsDoneOnceInChunksThatDoNotDependOnTheThreads() {
    for (int threads = 1; threads <= 4; threads++) {
      try (WorkerPool pool = new WorkerPool(threads)) {
        assertEquals(threads, pool.threads());
        for (int items : new int[] {0, 1, 7, 8, 9, 1000}) {
          AtomicIntegerArray done = new AtomicIntegerArray(items);
          Set<Long> starts = ConcurrentHashMap.newKeySet();
          pool.run(
              items,
              8,
              (from, to) -> {
                starts.add(from);
                for (long i = from; i < to; i++) {
                  done.incrementAndGet((int) i);
                }
              });
          for (int i = 0; i < items; i++) {
            assertEquals(1, done.get(i));
          }
          assertEquals(Math.ceilDiv(items, 8), starts.size());
          assertTrue(starts.stream().allMatch(start -> start % 8 == 0));
        }
      }
    }
  }

  @Test
  void threadsWorkAtTheSameTime() {
    try (WorkerPool pool = new WorkerPool(3)) {
      CountDownLatch all = new CountDownLatch(3);
      pool.run(
          3,
          1,
          (from, to) -> {
            all.countDown();
            try {
              all.await(); // only returns if three threads are here
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
          });
      assertEquals(0, all.getCount());
    }
  }

  @Test
  void manyShortLoopsFromSeveralThreadsAndAfterIdleTime() throws InterruptedException {
    try (WorkerPool pool = new WorkerPool(3)) {
      AtomicLong sum = new AtomicLong();
      List<Thread> callers = new ArrayList<>();
      for (int caller = 0; caller < 3; caller++) {
        callers.add(
            Thread.startVirtualThread(
                () -> {
                  for (int loop = 0; loop < 2000; loop++) {
                    pool.run(10, 1, (from, to) -> sum.addAndGet(from));
                    if (loop % 500 == 0) {
                      Thread.yield();
                    }
                  }
                }));
      }
      for (Thread caller : callers) {
        caller.join();
      }
      Thread.sleep(20); // the workers park
      pool.run(10, 1, (from, to) -> sum.addAndGet(from));
      assertEquals((3 * 2000 + 1) * 45L, sum.get());
    }
  }

  @Test
  void anExceptionReachesTheCallerAndThePoolGoesOn() {
    try (WorkerPool pool = new WorkerPool(2)) {
      var thrown =
          assertThrows(
              IllegalStateException.class,
              () ->
                  pool.run(
                      100,
                      1,
                      (from, to) -> {
                        if (from == 57) {
                          throw new IllegalStateException("chunk 57");
                        }
                      }));
      assertEquals("chunk 57", thrown.getMessage());
      AtomicLong sum = new AtomicLong();
      pool.run(100, 1, (from, to) -> sum.addAndGet(from));
      assertEquals(4950, sum.get());
    }
  }

  @Test
  void closingEndsTheThreads() {
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    WorkerPool pool = new WorkerPool(3);
    for (int i = 0; i < 100; i++) {
      pool.run(100, 1, (from, to) -> threads.add(Thread.currentThread()));
    }
    pool.close();
    threads.remove(Thread.currentThread());
    assertFalse(threads.stream().anyMatch(Thread::isAlive));
    assertThrows(IllegalStateException.class, () -> pool.run(1, 1, (from, to) -> {}));
  }
}
