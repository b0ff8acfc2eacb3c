package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.PassingCollectives;

final class RankWorkTest {

  @Test
  void travelsAsFloat32() {
    RankWork work = new RankWork(0.012345, 123.456, 7_654.3, 1e9, 0.00217, 0.25);
    long[] packed = work.packed();
    assertEquals(RankWork.LONGS, packed.length);
    long[] among = new long[packed.length + 2];
    System.arraycopy(packed, 0, among, 1, packed.length);
    RankWork there = RankWork.unpacked(among, 1);
    assertEquals(
        new RankWork(0.012345f, 123.456f, 7_654.3f, 1e9f, 0.00217f, 0.25f), there, "all six");
  }

  @Test
  void aStepsNewsTravelsInOneCollectiveAndIsTheSameOnAllRanks() throws Exception {
    List<StepExchange> heard = Collections.synchronizedList(new ArrayList<>());
    List<String> begun = Collections.synchronizedList(new ArrayList<>());
    InProcessGroup.run(
        3,
        Duration.ofSeconds(30),
        collectives -> {
          int rank = collectives.rank();
          Collectives counted =
              new PassingCollectives(collectives) {
                @Override
                protected void begins(String method) {
                  begun.add(rank + " " + method);
                }
              };
          heard.add(
              StepExchange.of(
                  counted,
                  100 + rank,
                  1L << 45,
                  -0.1 * rank,
                  Math.pow(0.3, rank),
                  rank == 1,
                  new RankWork(rank, 2, 3, 4, 5, 6)));
          long[] next = collectives.allGatherLong(rank);
          assertArrayEquals(new long[] {0, 1, 2}, next);
        });
    for (StepExchange all : heard) {
      assertEquals(303, all.targets());
      assertEquals(3L << 45, all.substitutes());
      assertEquals((-0.1 + -0.2) / 303, all.loss());
      assertArrayEquals(new double[] {1, 0.3, Math.pow(0.3, 2)}, all.squares());
      assertTrue(all.stopWanted());
      assertEquals(
          List.of(
              new RankWork(0, 2, 3, 4, 5, 6),
              new RankWork(1, 2, 3, 4, 5, 6),
              new RankWork(2, 2, 3, 4, 5, 6)),
          all.work());
    }
    assertEquals(3, heard.size());
    assertEquals(
        List.of("0 allGatherLongs", "1 allGatherLongs", "2 allGatherLongs"),
        begun.stream().sorted().toList());
  }

  @Test
  void moreRowsAreNoSlownessAndSlownessIsNamedOnceInAWhile() {
    RankPace pace = new RankPace(7, 3); // 2, 2 and 3 rows
    for (int step = 0; step < 60; step++) {
      List<RankWork> even =
          List.of(
              new RankWork(0, 0.2, 0.4, 0.1, 0, 0),
              new RankWork(0, 0.2, 0.4, 0.1, 0, 0),
              new RankWork(0, 0.3, 0.6, 0.1, 0, 0));
      assertEquals(Optional.empty(), pace.warning(even));
      assertEquals(2, RankPace.slowest(even));
    }
    int named = 0;
    for (int step = 0; step < 150; step++) {
      Optional<String> warning =
          pace.warning(
              List.of(
                  new RankWork(0, 0.2, 0.4, 0.1, 0, 0),
                  new RankWork(0, 0.2, 0.9, 0.1, 0, 0),
                  new RankWork(0, 0.3, 0.6, 0.1, 0, 0)));
      named += warning.isPresent() ? 1 : 0;
      warning.ifPresent(line -> assertTrue(line.contains("rank 1") && line.contains("backward")));
      assertFalse(step < 5 && warning.isPresent(), "one slow step is no straggler");
    }
    assertEquals(2, named, "in 150 steps");
  }

  @Test
  void everyTwentiethStepAndTheLastHaveALineOfAllRanksPhases() {
    RankPhases phases = new RankPhases(2, 23);
    List<Long> steps = new ArrayList<>();
    RankWork first = new RankWork(0.01, 0.2, 0.4, 0.1, 0.5, 0);
    for (long step = 11; step <= 23; step++) {
      RankWork second = new RankWork(0.03, 0.4, 0.7, 0.1, 0.02, step == 15 ? 0.21 : 0.01);
      Optional<RankPhases.Line> line = phases.add(step, List.of(first, second));
      line.ifPresent(
          there -> {
            steps.add(there.step());
            steps.add((long) there.steps());
            assertArrayEquals(new double[] {0.01, 0.03}, there.data());
            assertArrayEquals(new double[] {0.2, 0.4}, there.forward());
            assertArrayEquals(new double[] {0.4, 0.7}, there.backward());
            assertArrayEquals(new double[] {0.5, 0.02}, there.communication());
            assertArrayEquals(new double[] {0.1, 0.1}, there.optimizer());
            boolean paused = there.step() == 20;
            assertArrayEquals(new double[] {0, paused ? 0.03 : 0.01}, there.garbageCollection());
            assertArrayEquals(
                new double[] {0, paused ? 0.21 : 0.01}, there.mostGarbageCollection());
          });
    }
    assertEquals(List.of(20L, 10L, 23L, 3L), steps);
  }
}
