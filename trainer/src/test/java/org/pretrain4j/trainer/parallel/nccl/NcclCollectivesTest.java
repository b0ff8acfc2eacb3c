package org.pretrain4j.trainer.parallel.nccl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.RankExercise;
import org.pretrain4j.trainer.parallel.Reduction;

/** What is around NCCL, against a model of it. */
@Timeout(60)
class NcclCollectivesTest {
  private interface Body {
    String run(NcclCollectives collectives, FakeGpus.Rank fake) throws Exception;
  }

  /** Also checks that in the end each rank has given back all that it took of its GPU. */
  private static List<String> onRanks(FakeGpus gpus, int ranks, Duration timeout, Body body)
      throws Exception {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Callable<String>> tasks =
          IntStream.range(0, ranks)
              .mapToObj(
                  rank ->
                      (Callable<String>)
                          () -> {
                            FakeGpus.Rank fake = gpus.rank(rank);
                            try (NcclCollectives collectives =
                                new NcclCollectives(fake, fake, gpus, rank, ranks, timeout)) {
                              collectives.connect();
                              return body.run(collectives, fake);
                            } finally {
                              assertTrue(fake.made.get() >= 2, "a stream and a buffer at least");
                              assertEquals(Set.of(), fake.live, "rank " + rank);
                            }
                          })
              .toList();
      return threads.invokeAll(tasks).stream().map(NcclCollectivesTest::value).toList();
    }
  }

  private static String value(Future<String> future) {
    try {
      return future.get();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void everyCollectiveGivesItsResult() throws Exception {
    List<String> checksums =
        onRanks(
            new FakeGpus(3),
            3,
            Duration.ofSeconds(50),
            (collectives, fake) -> Long.toString(RankExercise.run(collectives, 5)));
    assertEquals(1, checksums.stream().distinct().count());
  }

  @Test
  void aRankThatNeverComesIsNamedAndTheCommunicatorAborted() throws Exception {
    FakeGpus gpus = new FakeGpus(3);
    List<String> seen =
        onRanks(
            gpus,
            3,
            Duration.ofMillis(500),
            (collectives, fake) -> {
              if (collectives.rank() == 1) {
                Thread.sleep(4000); // hangs, but its watch thread lives
              }
              CollectiveException e = assertThrows(CollectiveException.class, collectives::barrier);
              assertEquals(CollectiveException.Kind.TIMEOUT, e.kind());
              assertEquals(List.of(1), e.culprits());
              return e.getMessage();
            });
    assertTrue(
        seen.get(1).contains("s in collective #0 barrier(), missing: rank 1 (begun 0 collectives)"),
        seen.get(1));
    assertEquals(3, gpus.aborts.get());
  }

  @Test
  void anErrorOfNcclNamesTheCallTheRankAndWhatNcclSays() throws Exception {
    List<String> seen =
        onRanks(
            new FakeGpus(2),
            2,
            Duration.ofSeconds(20),
            (collectives, fake) -> {
              collectives.barrier();
              if (collectives.rank() == 1) {
                fake.lastError = "Connection closed by remote peer 10.0.0.7";
                fake.state = NcclResult.REMOTE_ERROR.ordinal();
              }
              CollectiveException e =
                  assertThrows(CollectiveException.class, () -> collectives.allGatherLong(1));
              assertEquals(CollectiveException.Kind.BACKEND, e.kind());
              return e.getMessage();
            });
    for (String message : seen) {
      assertTrue(
          message.startsWith(
              "ncclAllGather failed on rank 1: a peer failed or its connection broke"
                  + " (REMOTE_ERROR, 6); NCCL says: Connection closed by remote peer 10.0.0.7"),
          message);
    }
  }

  @Test
  void aRankThatCannotEvenBeginEndsTheOthers() throws Exception {
    FakeGpus gpus = new FakeGpus(2);
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      FakeGpus.Rank broken = gpus.rank(1);
      broken.startError = "ncclCommInitRankConfig failed: a CUDA call failed";
      Future<String> ended =
          threads.submit(
              () -> {
                try (NcclCollectives collectives =
                    new NcclCollectives(broken, broken, gpus, 1, 2, Duration.ofSeconds(50))) {
                  assertThrows(CollectiveException.class, collectives::connect);
                }
                assertEquals(Set.of(), broken.live);
                return null;
              });
      FakeGpus.Rank whole = gpus.rank(0);
      try (NcclCollectives collectives =
          new NcclCollectives(whole, whole, gpus, 0, 2, Duration.ofSeconds(50))) {
        CollectiveException e =
            assertThrows(
                CollectiveException.class,
                () -> {
                  collectives.connect();
                  collectives.barrier();
                });
        assertEquals(List.of(1), e.culprits());
        assertTrue(
            e.getMessage().startsWith("rank 1: ncclCommInitRankConfig failed"), e.getMessage());
      }
      assertEquals(Set.of(), whole.live);
      ended.get();
    }
  }

  @Test
  void aRankZeroThatHasNoGpuEndsThoseThatWaitForItsId() throws Exception {
    FakeGpus gpus = new FakeGpus(2);
    UserException mistake = new UserException("no GPU 0");
    assertEquals(
        mistake,
        assertThrows(
            UserException.class,
            () ->
                NcclCollectives.start(
                    gpus,
                    0,
                    () -> {
                      throw mistake;
                    })));
    FakeGpus.Rank waiting = gpus.rank(1);
    long start = System.nanoTime();
    try (NcclCollectives collectives =
        new NcclCollectives(waiting, waiting, gpus, 1, 2, Duration.ofSeconds(50))) {
      CollectiveException e = assertThrows(CollectiveException.class, collectives::connect);
      assertEquals(List.of(0), e.culprits());
      assertTrue(e.getMessage().startsWith("rank 0 failed: no GPU 0"), e.getMessage());
      assertFalse(e.isOwnFault());
    }
    assertTrue(System.nanoTime() - start < 8e9, "it waited all the same");
  }

  @Test
  void aRankThatWasNeverConnectedEndsAtOnce() {
    FakeGpus.Rank fake = new FakeGpus(2).rank(1);
    long start = System.nanoTime();
    new NcclCollectives(fake, fake, new FakeGpus(2), 1, 2, Duration.ofSeconds(50)).close();
    assertTrue(System.nanoTime() - start < 5e9, "it waited for a communicator");
    assertEquals(Set.of(), fake.live);
  }

  @Test
  void theLossOfTheRendezvousIsTheLossOfRankZero() throws Exception {
    FakeGpus gpus = new FakeGpus(2);
    onRanks(
        gpus,
        2,
        Duration.ofSeconds(40),
        (collectives, fake) -> {
          collectives.barrier();
          if (collectives.rank() == 0) {
            gpus.isStoreLost = true;
            Thread.sleep(9000); // as if it were gone
            return "";
          }
          CollectiveException e = assertThrows(CollectiveException.class, collectives::barrier);
          assertEquals(CollectiveException.Kind.LEFT, e.kind());
          assertEquals(List.of(0), e.culprits());
          return "";
        });
  }

  @Test
  void messagesOfAnySizeTravelWithoutNewMemoryOfTheGpu() throws Exception {
    byte[] message = new byte[600_001];
    new SplittableRandom(7).nextBytes(message);
    onRanks(
        new FakeGpus(3),
        3,
        Duration.ofSeconds(40),
        (collectives, fake) -> {
          collectives.barrier();
          int made = fake.made.get();
          byte[] mine = collectives.rank() == 1 ? message : new byte[0];
          assertArrayEquals(message, collectives.broadcastBytes(mine, 1));
          assertArrayEquals(new byte[0], collectives.broadcastBytes(new byte[0], 2));
          assertEquals(made, fake.made.get());
          return "";
        });
  }

  @Test
  void aRankThatGivesUpEndsTheOthersWithItsReason() throws Exception {
    List<String> seen =
        onRanks(
            new FakeGpus(2),
            2,
            Duration.ofSeconds(20),
            (collectives, fake) -> {
              if (collectives.rank() == 1) {
                collectives.abort("out of disk");
                return "rank 1 failed: out of disk";
              }
              return assertThrows(CollectiveException.class, collectives::barrier).getMessage();
            });
    assertTrue(seen.getFirst().startsWith("rank 1 failed: out of disk"), seen.getFirst());
  }

  /** The host of one rank goes on before the other one has even come. */
  @Test
  void whatIsFollowedIsWaitedForByTheDeviceAlone() throws Exception {
    CountDownLatch wentOn = new CountDownLatch(1);
    List<String> sums =
        onRanks(
            new FakeGpus(2),
            2,
            Duration.ofSeconds(40),
            (collectives, fake) -> {
              if (collectives.rank() == 1) {
                assertTrue(wentOn.await(30, TimeUnit.SECONDS), "the other rank's host waits");
              }
              try (Arena arena = Arena.ofShared()) {
                MemorySegment value =
                    arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1f + collectives.rank());
                MemorySegment copy = arena.allocate(ValueLayout.JAVA_FLOAT);
                Pending sum =
                    collectives.allReduce(FlatBuffer.of(value, ElementType.FLOAT32), Reduction.SUM);
                sum.follow();
                wentOn.countDown();
                fake.copyFromGpu(value.address(), copy); // on the stream that follows
                sum.await();
                return Float.toString(copy.get(ValueLayout.JAVA_FLOAT, 0));
              }
            });
    assertEquals(List.of("3.0", "3.0"), sums);
  }

  @Test
  void aCollectiveComesAfterWhatTheDefaultStreamHasAndBeforeWhatFollows() throws Exception {
    onRanks(
        new FakeGpus(2),
        2,
        Duration.ofSeconds(40),
        (collectives, fake) -> {
          try (Arena arena = Arena.ofShared()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_FLOAT);
            MemorySegment copy = arena.allocate(ValueLayout.JAVA_FLOAT);
            for (int step = 1; step <= 3; step++) {
              float mine = step * (1 + collectives.rank());
              fake.queue(() -> setLate(value, mine));
              collectives
                  .allReduce(FlatBuffer.of(value, ElementType.FLOAT32), Reduction.SUM)
                  .follow();
              fake.queue(() -> setLate(value, 2 * value.get(ValueLayout.JAVA_FLOAT, 0)));
              fake.copyFromGpu(value.address(), copy);
              assertEquals(step * 6f, copy.get(ValueLayout.JAVA_FLOAT, 0));
            }
          }
          return "";
        });
  }

  private static void setLate(MemorySegment value, float number) {
    LockSupport.parkNanos(50_000_000);
    value.set(ValueLayout.JAVA_FLOAT, 0, number);
  }

  @Test
  void eventsOfWhatIsFollowedAreUsedAgain() throws Exception {
    onRanks(
        new FakeGpus(2),
        2,
        Duration.ofSeconds(40),
        (collectives, fake) -> {
          try (Arena arena = Arena.ofShared()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_FLOAT);
            MemorySegment copy = arena.allocate(ValueLayout.JAVA_FLOAT);
            for (int step = 0; step < 200; step++) {
              for (int bucket = 0; bucket < 3; bucket++) {
                collectives
                    .allReduce(FlatBuffer.of(value, ElementType.FLOAT32), Reduction.SUM)
                    .follow();
              }
              fake.copyFromGpu(value.address(), copy);
            }
          }
          // The stream, two buffers, and the events of a step and of the one before.
          assertTrue(fake.made.get() <= 3 + 6, fake.made + " were made");
          return "";
        });
  }

  /**
   * Without the thread that looks after it the host would wait for ever in a copy, which knows no
   * timeout.
   */
  @Test
  void whatIsFollowedEndsWithTheTimeoutAndNamesWhoDidNotCome() throws Exception {
    List<String> seen =
        onRanks(
            new FakeGpus(2),
            2,
            Duration.ofSeconds(2),
            (collectives, fake) -> {
              if (collectives.rank() == 1) {
                Thread.sleep(6000);
                return "";
              }
              try (Arena arena = Arena.ofShared()) {
                MemorySegment value = arena.allocate(ValueLayout.JAVA_FLOAT);
                collectives
                    .allReduce(FlatBuffer.of(value, ElementType.FLOAT32), Reduction.SUM)
                    .follow();
                fake.copyFromGpu(value.address(), arena.allocate(ValueLayout.JAVA_FLOAT));
                CollectiveException e =
                    assertThrows(CollectiveException.class, collectives::barrier);
                assertEquals(CollectiveException.Kind.TIMEOUT, e.kind());
                assertEquals(List.of(1), e.culprits());
                return e.getMessage();
              }
            });
    assertTrue(
        seen.getFirst()
            .contains(
                "rank 0 waited 2.0 s in collective #0 allReduce(sum, float32 x 1, 4 bytes),"
                    + " missing: rank 1 (begun 0 collectives)"),
        seen.getFirst());
  }

  @Test
  void anErrorOfWhatIsFollowedIsNoticed() throws Exception {
    onRanks(
        new FakeGpus(2),
        2,
        Duration.ofSeconds(50),
        (collectives, fake) -> {
          collectives.barrier();
          if (collectives.rank() == 1) {
            Thread.sleep(5000); // computes, and takes part in nothing
            return "";
          }
          try (Arena arena = Arena.ofShared()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_FLOAT);
            collectives
                .allReduce(FlatBuffer.of(value, ElementType.FLOAT32), Reduction.SUM)
                .follow();
            fake.state = NcclResult.REMOTE_ERROR.ordinal();
            fake.copyFromGpu(value.address(), arena.allocate(ValueLayout.JAVA_FLOAT));
          }
          CollectiveException e = assertThrows(CollectiveException.class, collectives::barrier);
          assertEquals(CollectiveException.Kind.BACKEND, e.kind());
          assertTrue(e.getMessage().startsWith("ncclAllReduce failed on rank 0"), e.getMessage());
          return "";
        });
  }
}
