package org.pretrain4j.trainer.parallel.tcp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.ProcessCollectives;
import org.pretrain4j.trainer.parallel.RankExercise;
import org.pretrain4j.trainer.parallel.Reduction;
import org.pretrain4j.trainer.parallel.cluster.Rendezvous;
import org.pretrain4j.trainer.parallel.cluster.World;

/** Threads of one JVM, but connected by sockets as processes are. */
@Timeout(60)
class TcpCollectivesTest {
  private interface Body {
    String run(TcpCollectives collectives) throws Exception;
  }

  private static List<String> onRanks(int ranks, Duration timeout, Body body) throws Exception {
    int port;
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    try (ExecutorService threads = Executors.newThreadPerTaskExecutor(Thread::new)) {
      List<Callable<String>> tasks =
          IntStream.range(0, ranks)
              .mapToObj(
                  rank ->
                      (Callable<String>)
                          () -> {
                            World world =
                                new World(
                                    rank, ranks, rank, "localhost", port, World.Source.TORCHRUN);
                            try (Rendezvous store =
                                    Rendezvous.join(world, "test", Duration.ofSeconds(30));
                                TcpCollectives collectives =
                                    TcpCollectives.join(store, rank, ranks, timeout)) {
                              collectives.barrier();
                              return body.run(collectives);
                            }
                          })
              .toList();
      return threads.invokeAll(tasks).stream().map(TcpCollectivesTest::value).toList();
    }
  }

  private static String value(Future<String> future) {
    try {
      return future.get();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private static String refusal(TcpCollectives collectives, CollectiveException.Kind kind) {
    try (Arena arena = Arena.ofShared()) {
      FlatBuffer buffer = FlatBuffer.of(arena.allocate(4_000_000), ElementType.FLOAT32);
      CollectiveException e =
          assertThrows(
              CollectiveException.class,
              () -> collectives.allReduce(buffer, Reduction.SUM).await());
      assertEquals(kind, e.kind(), e.getMessage());
      return e.culprits() + " " + e.getMessage();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void connectionsGiveTheSameBitsAsSharedMemory(int ranks) throws Exception {
    List<String> checksums =
        onRanks(
            ranks,
            Duration.ofSeconds(50),
            collectives -> Long.toString(RankExercise.run(collectives, 31)));
    AtomicLong expected = new AtomicLong();
    InProcessGroup.run(
        ranks,
        Duration.ofSeconds(50),
        collectives -> {
          long checksum = RankExercise.run(collectives, 31);
          if (collectives.rank() == 0) {
            expected.set(checksum);
          }
        });
    checksums.forEach(checksum -> assertEquals(Long.toString(expected.get()), checksum));
  }

  @Test
  void aRankThatNeverComesIsNamed() throws Exception {
    List<String> seen =
        onRanks(
            3,
            Duration.ofSeconds(2),
            collectives -> {
              if (collectives.rank() == 2) {
                Thread.sleep(4000);
                return refusal(collectives, CollectiveException.Kind.TIMEOUT);
              }
              return refusal(collectives, CollectiveException.Kind.TIMEOUT);
            });
    for (String message : seen) {
      assertTrue(
          message.contains(
              "2.0 s in collective #1 allReduce(sum, float32 x 1000000, 4000000 bytes), missing:"
                  + " rank 2"),
          message);
    }
  }

  @Test
  void aProcessThatDiesIsNamedAtOnce() throws Exception {
    // A rank may leave a barrier while another still waits in it for a third one.
    CountDownLatch beyondTheBarrier = new CountDownLatch(2);
    List<String> seen =
        onRanks(
            3,
            Duration.ofSeconds(50),
            collectives -> {
              if (collectives.rank() == 1) {
                beyondTheBarrier.await();
                collectives.cut();
                return "[1] rank 1 died or was cut off: ";
              }
              beyondTheBarrier.countDown();
              return refusal(collectives, CollectiveException.Kind.LEFT);
            });
    for (String message : seen) {
      assertTrue(message.startsWith("[1] rank 1 died or was cut off: "), message);
    }
  }

  @Test
  void differentCollectivesAreAnErrorThatNamesBoth() throws Exception {
    List<String> seen =
        onRanks(
            2,
            Duration.ofSeconds(50),
            collectives -> {
              if (collectives.rank() == 1) {
                return assertThrows(CollectiveException.class, collectives::barrier).getMessage();
              }
              return refusal(collectives, CollectiveException.Kind.MISMATCH);
            });
    for (String message : seen) {
      assertTrue(message.contains("rank 1 called barrier()"), message);
      assertTrue(message.contains("rank 0 called allReduce(sum, float32 x 1000000"), message);
    }
  }

  @Test
  void aRankThatLeavesEarlyOrFailsIsNamed() throws Exception {
    List<String> seen =
        onRanks(
            2,
            Duration.ofSeconds(50),
            collectives ->
                collectives.rank() == 1 ? "" : refusal(collectives, CollectiveException.Kind.LEFT));
    assertTrue(
        seen.getFirst().startsWith("[1] rank 1 left the group after 1 collectives"),
        seen.getFirst());
    seen =
        onRanks(
            2,
            Duration.ofSeconds(50),
            collectives -> {
              if (collectives.rank() == 1) {
                collectives.abort("made to fail");
                return "";
              }
              return refusal(collectives, CollectiveException.Kind.FAILED);
            });
    assertTrue(seen.getFirst().startsWith("[1] rank 1 failed: made to fail"), seen.getFirst());
  }

  /** Far more is begun than may be under way, on ranks that are not equally fast. */
  @ParameterizedTest
  @CsvSource({"2, 40000", "3, 40000", "8, 4000"})
  void largeCollectivesTakeTurnsAndHoldTheMemoryOfAFew(int ranks, int part) throws Exception {
    int count = 12;
    List<String> held =
        onRanks(
            ranks,
            Duration.ofSeconds(50),
            collectives -> {
              try (Arena arena = Arena.ofShared()) {
                for (int step = 0; step < 3; step++) {
                  List<Pending> underWay = new ArrayList<>();
                  List<MemorySegment> sums = new ArrayList<>();
                  for (int i = 0; i < count; i++) {
                    MemorySegment input = arena.allocate(4L * part * ranks, 64);
                    for (long e = 0; e < (long) part * ranks; e++) {
                      input.setAtIndex(ValueLayout.JAVA_FLOAT, e, i + collectives.rank());
                    }
                    MemorySegment sum = arena.allocate(4L * part, 64);
                    sums.add(sum);
                    underWay.add(
                        collectives.reduceScatter(
                            FlatBuffer.of(input, ElementType.FLOAT32),
                            FlatBuffer.of(sum, ElementType.FLOAT32)));
                    Thread.sleep(collectives.rank() == step % ranks ? 3 : 0);
                  }
                  // The last one first: it waits for the turns of all others.
                  underWay.reversed().forEach(Pending::await);
                  for (int i = 0; i < count; i++) {
                    float expected = ranks * i + ranks * (ranks - 1) / 2f;
                    for (long e : new long[] {0, part / 2, part - 1}) {
                      assertEquals(expected, sums.get(i).getAtIndex(ValueLayout.JAVA_FLOAT, e));
                    }
                  }
                }
                return Long.toString(collectives.scratchBytes());
              }
            });
    long each = 4L * part * (ranks - 1);
    for (String bytes : held) {
      long most = 2L * ProcessCollectives.UNDER_WAY * each;
      assertTrue(Long.parseLong(bytes) >= each, bytes + " bytes");
      assertTrue(Long.parseLong(bytes) <= most + 1000, bytes + " bytes, not " + most);
    }
  }
}
