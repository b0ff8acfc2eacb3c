package org.pretrain4j.trainer.parallel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class InProcessGroupTest {
  private static final Duration LONG = Duration.ofSeconds(50);
  private static final ElementType F32 = ElementType.FLOAT32;

  private static float[] random(ElementType type, long seed, int rank, int count) {
    Random random = new Random(seed * 1000 + rank);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = RankMemory.rounded(type, (float) random.nextGaussian());
    }
    return values;
  }

  /** The sum in the order of ranks, one element after the other. */
  private static float[] naiveSum(ElementType type, long seed, int ranks, int count) {
    float[] sum = new float[count];
    for (int rank = 0; rank < ranks; rank++) {
      float[] values = random(type, seed, rank, count);
      for (int i = 0; i < count; i++) {
        sum[i] = rank == 0 ? values[i] : sum[i] + values[i];
      }
    }
    for (int i = 0; i < count; i++) {
      sum[i] = RankMemory.rounded(type, sum[i]);
    }
    return sum;
  }

  @ParameterizedTest
  @EnumSource(ElementType.class)
  void randomShapesAgreeWithANaiveSumBitForBit(ElementType type) throws Exception {
    long seed = 20;
    System.out.println("seed " + seed);
    Random shapes = new Random(seed);
    for (int ranks : new int[] {1, 2, 3, 4, 7}) {
      for (int round = 0; round < 4; round++) {
        int part = round == 0 ? 0 : shapes.nextInt(round == 3 ? 100_000 : 5_000);
        float[] sum = naiveSum(type, seed, ranks, part * ranks);
        InProcessGroup.run(
            ranks,
            LONG,
            collectives -> {
              int rank = collectives.rank();
              try (Arena arena = Arena.ofConfined()) {
                float[] mine = random(type, seed, rank, part * ranks);
                FlatBuffer all = RankMemory.buffer(arena, type, mine);
                FlatBuffer input = RankMemory.buffer(arena, type, mine);
                FlatBuffer output = RankMemory.buffer(arena, type, new float[part]);
                FlatBuffer gathered = RankMemory.buffer(arena, type, new float[part * ranks]);
                Pending reduce = collectives.allReduce(all, Reduction.SUM);
                Pending scatter = collectives.reduceScatter(input, output);
                scatter.await(); // out of order on purpose
                reduce.await();
                reduce.await();
                collectives.allGather(output, gathered).await();
                assertArrayEquals(sum, RankMemory.values(all));
                assertArrayEquals(mine, RankMemory.values(input));
                float[] expected = Arrays.copyOfRange(sum, rank * part, (rank + 1) * part);
                assertArrayEquals(expected, RankMemory.values(output));
                assertArrayEquals(sum, RankMemory.values(gathered));
                int root = ranks - 1;
                collectives.broadcast(input, root).await();
                assertArrayEquals(random(type, seed, root, part * ranks), RankMemory.values(input));
              }
            });
      }
    }
  }

  @Test
  void scatterAndGatherWorkInPlace() throws Exception {
    int ranks = 3;
    int part = 10_000;
    float[] sum = naiveSum(F32, 5, ranks, part * ranks);
    InProcessGroup.run(
        ranks,
        LONG,
        collectives -> {
          try (Arena arena = Arena.ofConfined()) {
            int rank = collectives.rank();
            FlatBuffer all = RankMemory.buffer(arena, F32, random(F32, 5, rank, part * ranks));
            FlatBuffer mine = all.slice((long) rank * part, part);
            collectives.reduceScatter(all, mine).await();
            collectives.allGather(mine, all).await();
            assertArrayEquals(sum, RankMemory.values(all));
          }
        });
  }

  @Test
  void theReferenceRunsNumberOfRanksGivesTheSameBitsEveryTime() throws Exception {
    int ranks = 384;
    int part = 17;
    float[] sum = naiveSum(ElementType.BFLOAT16, 9, ranks, ranks * part);
    for (int repetition = 0; repetition < 3; repetition++) {
      InProcessGroup.run(
          ranks,
          LONG,
          collectives -> {
            try (Arena arena = Arena.ofConfined()) {
              int rank = collectives.rank();
              FlatBuffer all =
                  RankMemory.buffer(
                      arena,
                      ElementType.BFLOAT16,
                      random(ElementType.BFLOAT16, 9, rank, ranks * part));
              FlatBuffer mine = all.slice((long) rank * part, part);
              collectives.reduceScatter(all, mine).await();
              collectives.allGather(mine, all).await();
              assertArrayEquals(sum, RankMemory.values(all));
              long[] squares = collectives.allGatherLong((long) rank * rank);
              assertEquals(383 * 383, squares[383]);
              collectives.barrier();
            }
          });
    }
  }

  @Test
  void smallMessagesArriveOnAllRanks() throws Exception {
    InProcessGroup.run(
        3,
        LONG,
        collectives -> {
          byte[] message = collectives.rank() == 1 ? new byte[] {4, 5, 6} : null;
          assertArrayEquals(new byte[] {4, 5, 6}, collectives.broadcastBytes(message, 1));
          double[] values = collectives.allGatherDouble(collectives.rank() / 3.0);
          assertArrayEquals(new double[] {0, 1 / 3.0, 2 / 3.0}, values);
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 5})
  void aRankThatThrowsEndsTheOthersAndIsNamed(int ranks) {
    List<CollectiveException> others = Collections.synchronizedList(new ArrayList<>());
    ArithmeticException thrown =
        assertThrows(
            ArithmeticException.class,
            () ->
                InProcessGroup.run(
                    ranks,
                    LONG,
                    collectives -> {
                      collectives.barrier();
                      if (collectives.rank() == 1) {
                        throw new ArithmeticException("no more numbers");
                      }
                      try {
                        collectives.barrier();
                      } catch (CollectiveException e) {
                        others.add(e);
                        throw e;
                      }
                    }));
    assertEquals("no more numbers", thrown.getMessage());
    assertEquals(ranks - 1, others.size());
    for (CollectiveException e : others) {
      assertEquals(CollectiveException.Kind.FAILED, e.kind());
      assertEquals(List.of(1), e.culprits());
      assertTrue(e.getMessage().contains("rank 1 failed"), e.getMessage());
      assertTrue(e.getMessage().contains("no more numbers"), e.getMessage());
      assertTrue(e.getMessage().contains("#1 barrier"), e.getMessage());
    }
  }

  @Test
  void aRankThatFailsWhileOthersReduceItsMemoryMayFreeItAtOnce() {
    for (int repetition = 0; repetition < 20; repetition++) {
      AtomicInteger ended = new AtomicInteger();
      assertThrows(
          IllegalStateException.class,
          () ->
              InProcessGroup.run(
                  3,
                  LONG,
                  collectives -> {
                    try (Arena arena = Arena.ofConfined()) {
                      FlatBuffer all = RankMemory.buffer(arena, F32, new float[1_000_000]);
                      Pending sum = collectives.allReduce(all, Reduction.SUM);
                      if (collectives.rank() == 2) {
                        collectives.abort("made to fail");
                        throw new IllegalStateException("made to fail");
                      }
                      sum.await();
                    } finally {
                      ended.incrementAndGet();
                    }
                  }));
      assertEquals(3, ended.get());
    }
  }

  @Test
  void aRankThatLeavesEarlyIsNamed() {
    CollectiveException e =
        assertThrows(
            CollectiveException.class,
            () ->
                InProcessGroup.run(
                    3,
                    LONG,
                    collectives -> {
                      collectives.barrier();
                      if (collectives.rank() != 0) {
                        collectives.barrier();
                      }
                    }));
    assertEquals(CollectiveException.Kind.LEFT, e.kind());
    assertEquals(List.of(0), e.culprits());
    assertTrue(
        e.getMessage().startsWith("rank 0 left the group after 1 collectives"), e.getMessage());
  }

  @Test
  void aTimeoutNamesTheCollectiveAndTheMissingRanks() {
    InProcessGroup group = new InProcessGroup(4, Duration.ofMillis(100));
    try (Arena arena = Arena.ofConfined()) {
      FlatBuffer buffer = RankMemory.buffer(arena, F32, new float[1000]);
      group.rank(2).allReduce(RankMemory.buffer(arena, F32, new float[1000]), Reduction.SUM);
      Pending pending = group.rank(0).allReduce(buffer, Reduction.SUM);
      CollectiveException e = assertThrows(CollectiveException.class, pending::await);
      assertEquals(CollectiveException.Kind.TIMEOUT, e.kind());
      assertEquals(List.of(1, 3), e.culprits());
      assertTrue(
          e.getMessage()
              .startsWith(
                  "rank 0 waited 0.1 s in collective #0 allReduce(sum, float32 x 1000, 4000 bytes),"
                      + " missing: rank 1 (begun 0 collectives), rank 3 (begun 0 collectives)"),
          e.getMessage());
      assertThrows(CollectiveException.class, () -> group.rank(1).barrier());
    }
  }

  @Test
  void differentCollectivesAtTheSameNumberAreAnErrorThatNamesBoth() {
    CollectiveException e =
        assertThrows(
            CollectiveException.class,
            () ->
                InProcessGroup.run(
                    2,
                    LONG,
                    collectives -> {
                      try (Arena arena = Arena.ofConfined()) {
                        int count = collectives.rank() == 0 ? 10 : 11;
                        FlatBuffer buffer = RankMemory.buffer(arena, F32, new float[count]);
                        collectives.allReduce(buffer, Reduction.SUM).await();
                      }
                    }));
    assertEquals(CollectiveException.Kind.MISMATCH, e.kind());
    assertEquals(List.of(0, 1), e.culprits());
    assertTrue(e.getMessage().contains("allReduce(sum, float32 x 10, 40 bytes)"), e.getMessage());
    assertTrue(e.getMessage().contains("allReduce(sum, float32 x 11, 44 bytes)"), e.getMessage());
  }

  @Test
  void sizesThatDoNotFitAreRefusedBeforeAnybodyWaits() {
    Collectives rank = new InProcessGroup(4, LONG).rank(0);
    FlatBuffer ten = new FlatBuffer(64, 10, F32);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> rank.reduceScatter(ten, ten));
    assertEquals(
        "reduceScatter in a world of 4: input is float32 x 10, output is float32 x 10; input must"
            + " be 4 x output, of the same type",
        e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> rank.broadcast(ten, 4));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, Collectives.MOST_LONGS + 1})
  void tooFewOrTooManyLongsAreRefusedBeforeAnybodyWaits(int count) throws Exception {
    long[] values = new long[count];
    String expected = "an all-gather of " + count + " longs, from 1 to 8 travel";
    InProcessGroup.run(
        2,
        LONG,
        collectives -> {
          if (collectives.rank() == 0) {
            IllegalArgumentException e =
                assertThrows(
                    IllegalArgumentException.class, () -> collectives.allGatherLongs(values));
            assertEquals(expected, e.getMessage());
          }
          long[] all = collectives.allGatherLongs(new long[Collectives.MOST_LONGS]);
          assertEquals(2 * Collectives.MOST_LONGS, all.length, "what was refused has no number");
        });
    try (Collectives solo = new SoloCollectives()) {
      assertThrows(IllegalArgumentException.class, () -> solo.allGatherLongs(values));
    }
  }

  @Test
  void anInterruptedRankEndsTheOthers() throws Exception {
    InProcessGroup group = new InProcessGroup(2, LONG);
    AtomicInteger failures = new AtomicInteger();
    Thread first =
        Thread.ofPlatform()
            .start(
                () -> {
                  assertThrows(CollectiveException.class, () -> group.rank(0).barrier());
                  failures.incrementAndGet();
                });
    first.interrupt();
    first.join();
    CollectiveException e = assertThrows(CollectiveException.class, () -> group.rank(1).barrier());
    assertEquals(List.of(0), e.culprits());
    assertEquals(1, failures.get());
  }
}
