package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class RankWorkTest {

  @Test
  void travelsInOneNumberToTwoDigits() {
    RankWork work = new RankWork(0.012345, 123.456, 7_654.3, 1e9, 0.00217);
    RankWork there = RankWork.unpacked(work.packed());
    assertEquals(work.data(), there.data(), 4e-3 * work.data());
    assertEquals(work.forward(), there.forward(), 4e-3 * work.forward());
    assertEquals(work.backward(), there.backward(), 4e-3 * work.backward());
    assertEquals(65_024, there.optimizer(), "what is longer than 18 hours");
    assertEquals(work.communication(), there.communication(), 4e-3 * work.communication());
    assertEquals(new RankWork(0, 0, 0, 0, 0), RankWork.unpacked(0));
  }

  @Test
  void moreRowsAreNoSlownessAndSlownessIsNamedOnceInAWhile() {
    RankPace pace = new RankPace(7, 3); // 2, 2 and 3 rows
    for (int step = 0; step < 60; step++) {
      List<RankWork> even =
          List.of(
              new RankWork(0, 0.2, 0.4, 0.1, 0),
              new RankWork(0, 0.2, 0.4, 0.1, 0),
              new RankWork(0, 0.3, 0.6, 0.1, 0));
      assertEquals(Optional.empty(), pace.warning(even));
      assertEquals(2, RankPace.slowest(even));
    }
    int named = 0;
    for (int step = 0; step < 150; step++) {
      Optional<String> warning =
          pace.warning(
              List.of(
                  new RankWork(0, 0.2, 0.4, 0.1, 0),
                  new RankWork(0, 0.2, 0.9, 0.1, 0),
                  new RankWork(0, 0.3, 0.6, 0.1, 0)));
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
    RankWork first = new RankWork(0.01, 0.2, 0.4, 0.1, 0.5);
    RankWork second = new RankWork(0.03, 0.4, 0.7, 0.1, 0.02);
    for (long step = 11; step <= 23; step++) {
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
          });
    }
    assertEquals(List.of(20L, 10L, 23L, 3L), steps);
  }
}
