package org.pretrain4j.checkpoints;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;

@Timeout(60)
class AsyncCheckpointerTest {
  private static final FlatLayout LAYOUT = SavedRun.layout(3000, 5, 1200);
  private static final Path ROOT = new Path("crash:///run/checkpoints");
  private static final long SHARD_BYTES = 3 * 4 * LAYOUT.elements();

  private final CrashingFileSystem disk = new CrashingFileSystem();
  private final CheckpointStore store = new CheckpointStore(disk.durable(), ROOT);

  private static AsyncCheckpointer.Settings settings(long stagingBytes) {
    return new AsyncCheckpointer.Settings(stagingBytes, Duration.ofSeconds(20));
  }

  private static CompletableFuture<AsyncCheckpointer.Report> save(
      AsyncCheckpointer checkpointer, long step, int rank, int worldSize) {
    List<FlatRange> ranges = SavedRun.ranges(LAYOUT.elements(), 1000, worldSize).get(rank);
    Map<String, MemorySegment> values = SavedRun.values(step, ranges);
    CompletableFuture<AsyncCheckpointer.Report> save =
        checkpointer.save(LAYOUT, ranges, SavedRun.sources(values), SavedRun.state(step));
    values.values().forEach(segment -> segment.fill((byte) 1)); // The next step changes them.
    return save;
  }

  @RepeatedTest(10)
  void ranksSaveWithoutABarrierInWhateverOrder() throws InterruptedException {
    int worldSize = 4;
    ConcurrentLinkedQueue<Long> published = new ConcurrentLinkedQueue<>();
    List<Throwable> failures = new ArrayList<>();
    List<Thread> ranks = new ArrayList<>();
    for (int rank = 0; rank < worldSize; rank++) {
      int self = rank;
      ranks.add(
          Thread.ofPlatform()
              .uncaughtExceptionHandler((thread, failure) -> failures.add(failure))
              .start(
                  () -> {
                    try (AsyncCheckpointer checkpointer =
                        new AsyncCheckpointer(
                            store, "a", self, worldSize, settings(1000), published::add)) {
                      for (long step = 10; step <= 50; step += 10) {
                        save(checkpointer, step, self, worldSize);
                        assertTrue(checkpointer.stagingBytes() <= 1000);
                      }
                    }
                  }));
    }
    for (Thread rank : ranks) {
      rank.join();
    }
    assertEquals(List.of(), failures);
    assertEquals(List.of(10L, 20L, 30L, 40L, 50L), List.copyOf(published));
    for (long step = 10; step <= 50; step += 10) {
      Checkpoint checkpoint = store.open(step);
      checkpoint.verify();
      SavedRun.assertHolds(checkpoint, step);
    }
  }

  @Test
  void theCallerIsBlockedForTheCopyOnly() throws Exception {
    CountDownLatch gate = new CountDownLatch(1);
    try (AsyncCheckpointer checkpointer =
        new AsyncCheckpointer(gated(gate), "a", 0, 1, settings(SHARD_BYTES), step -> {})) {
      CompletableFuture<AsyncCheckpointer.Report> save = save(checkpointer, 10, 0, 1);
      // The disk is still stuck, but the values have been copied.
      assertFalse(save.isDone());
      Thread.sleep(50);
      gate.countDown();
      AsyncCheckpointer.Report report = save.get(20, TimeUnit.SECONDS);
      assertEquals(SHARD_BYTES, report.bytes());
      assertTrue(report.writeSeconds() >= 0.05, report.toString());
      assertTrue(report.blockedSeconds() < report.writeSeconds(), report.toString());
      assertTrue(checkpointer.stagingBytes() <= SHARD_BYTES);
    }
    SavedRun.assertHolds(store.newestGood(warning -> {}).orElseThrow(), 10);
  }

  @Test
  void aSmallBufferAndASecondSaveMakeTheCallerWait() throws Exception {
    CountDownLatch gate = new CountDownLatch(1);
    List<Long> published = new CopyOnWriteArrayList<>();
    try (AsyncCheckpointer checkpointer =
        new AsyncCheckpointer(gated(gate), "a", 0, 1, settings(1000), published::add)) {
      Thread caller = Thread.ofPlatform().start(() -> save(checkpointer, 10, 0, 1));
      caller.join(200);
      assertTrue(caller.isAlive(), "no room for the values, yet the caller went on");
      gate.countDown();
      caller.join();
      save(checkpointer, 20, 0, 1);
      // The first one has ended before the second began.
      assertEquals(10L, published.getFirst());
    }
    SavedRun.assertHolds(store.newestGood(warning -> {}).orElseThrow(), 20);
  }

  /** A store whose disk is stuck until the gate opens. */
  private CheckpointStore gated(CountDownLatch gate) {
    DurableFileSystem stuck =
        new DurableFileSystem(
            disk,
            folder -> {
              try {
                gate.await();
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
    return new CheckpointStore(stuck, ROOT);
  }

  @Test
  void aFailedSaveIsReportedByTheNextCallAndTheOneAfterWorks() {
    AsyncCheckpointer checkpointer =
        new AsyncCheckpointer(store, "a", 0, 1, settings(SHARD_BYTES), step -> {});
    save(checkpointer, 10, 0, 1).join();
    disk.freeBytes(20_000);
    CompletableFuture<AsyncCheckpointer.Report> failing = save(checkpointer, 20, 0, 1);
    assertThrows(RuntimeException.class, failing::join);
    CheckpointWriteException reported =
        assertThrows(CheckpointWriteException.class, () -> save(checkpointer, 30, 0, 1));
    assertTrue(reported.getMessage().contains("No space left"), reported.getMessage());
    disk.freeBytes(1_000_000);
    save(checkpointer, 40, 0, 1).join();
    disk.freeBytes(20_000);
    save(checkpointer, 50, 0, 1);
    assertThrows(CheckpointWriteException.class, checkpointer::close);
    assertEquals(List.of(10L, 40L), store.steps());
    SavedRun.assertHolds(store.newestGood(warning -> {}).orElseThrow(), 40);
  }

  @Test
  void aWriterThatFailsDoesNotLeaveTheCallerWaitingForRoom() {
    AsyncCheckpointer checkpointer =
        new AsyncCheckpointer(store, "a", 0, 1, settings(1000), step -> {});
    disk.failAt(0);
    CheckpointWriteException failed =
        assertThrows(CheckpointWriteException.class, () -> save(checkpointer, 20, 0, 1));
    assertTrue(failed.getMessage().contains("Input/output error"), failed.getMessage());
    checkpointer.close();
  }

  @Test
  void aRankThatNeverWritesIsNamed() {
    AsyncCheckpointer.Settings impatient =
        new AsyncCheckpointer.Settings(SHARD_BYTES, Duration.ofMillis(50));
    AsyncCheckpointer checkpointer = new AsyncCheckpointer(store, "a", 0, 2, impatient, step -> {});
    save(checkpointer, 10, 0, 2);
    CheckpointWriteException missing =
        assertThrows(CheckpointWriteException.class, checkpointer::close);
    assertTrue(missing.getMessage().contains("rank 1 has not written"), missing.getMessage());
  }

  @Test
  void valuesThatCannotBeReadEndTheSave() {
    List<FlatRange> all = List.of(new FlatRange(0, LAYOUT.elements()));
    Arena arena = Arena.ofShared();
    Map<String, MemorySegment> values =
        Map.of("master", arena.allocate(Float.BYTES * LAYOUT.elements()));
    arena.close();
    AsyncCheckpointer checkpointer =
        new AsyncCheckpointer(store, "a", 0, 1, settings(1000), step -> {});
    assertThrows(
        IllegalStateException.class,
        () -> checkpointer.save(LAYOUT, all, SavedRun.sources(values), SavedRun.state(10)));
    String problem = checkpointer.close(Duration.ofSeconds(30)).orElseThrow();
    assertTrue(problem.contains("broken off"), problem);
  }
}
