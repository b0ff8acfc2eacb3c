package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class RankWorkTest {

  @Test
  void travelsInOneNumberToThreeDigits() {
    RankWork work = new RankWork(0.012345, 123.456, 7_654.3, 1e9);
    RankWork there = RankWork.unpacked(work.packed());
    assertEquals(work.data(), there.data(), 1e-3 * work.data());
    assertEquals(work.forward(), there.forward(), 1e-3 * work.forward());
    assertEquals(work.backward(), there.backward(), 1e-3 * work.backward());
    assertEquals(65_504, there.optimizer(), "what is longer than 18 hours");
    assertEquals(new RankWork(0, 0, 0, 0), RankWork.unpacked(0));
  }

  @Test
  void moreRowsAreNoSlownessAndSlownessIsNamedOnceInAWhile() {
    RankPace pace = new RankPace(7, 3); // 2, 2 and 3 rows
    for (int step = 0; step < 60; step++) {
      List<RankWork> even =
          List.of(
              new RankWork(0, 0.2, 0.4, 0.1),
              new RankWork(0, 0.2, 0.4, 0.1),
              new RankWork(0, 0.3, 0.6, 0.1));
      assertEquals(Optional.empty(), pace.warning(even));
      assertEquals(2, RankPace.slowest(even));
    }
    int named = 0;
    for (int step = 0; step < 150; step++) {
      Optional<String> warning =
          pace.warning(
              List.of(
                  new RankWork(0, 0.2, 0.4, 0.1),
                  new RankWork(0, 0.2, 0.9, 0.1),
                  new RankWork(0, 0.3, 0.6, 0.1)));
      named += warning.isPresent() ? 1 : 0;
      warning.ifPresent(line -> assertTrue(line.contains("rank 1") && line.contains("backward")));
      assertFalse(step < 5 && warning.isPresent(), "one slow step is no straggler");
    }
    assertEquals(2, named, "in 150 steps");
  }
}
