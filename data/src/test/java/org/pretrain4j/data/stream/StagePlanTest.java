package org.pretrain4j.data.stream;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.pretrain4j.configuration.UserException;

class StagePlanTest {
  @Test
  void eachDatasetGoesOnWhereEarlierStagesLeftIt() {
    StagePlan plan =
        new StagePlan(
            List.of("web", "code", "math"),
            7,
            List.of(
                new Stage("one", 10, Map.of("web", 0.8, "code", 0.2)),
                new Stage("two", 5, Map.of("web", 1.0, "math", 2.0)),
                new Stage("three", 20, Map.of("web", 0.3, "code", 0.3, "math", 0.4))));
    long[] next = new long[3];
    for (long step = 0; step < plan.steps(); step++) {
      assertArrayEquals(next, plan.samples(step));
      for (int row = 0; row < 7; row++) {
        StagePlan.Place place = plan.place(step, row);
        assertEquals(next[place.dataset()]++, place.sample(), "step " + step + ", row " + row);
      }
    }
    assertArrayEquals(next, plan.samples(plan.steps()));
    assertEquals(
        List.of(0, 0, 1, 2), List.of(0L, 9L, 10L, 15L).stream().map(plan::stageAt).toList());
  }

  @Test
  void aStepFarIntoTheLargestRunIsFoundAtOnce() {
    long started = System.nanoTime();
    StagePlan plan = SmolLm3Plan.plan();
    long step = 4_000_000;
    long[] next = plan.samples(step);
    assertEquals(step * SmolLm3Plan.ROWS, Arrays.stream(next).sum());
    for (int row = 0; row < SmolLm3Plan.ROWS; row++) {
      StagePlan.Place place = plan.place(step, row);
      assertEquals(next[place.dataset()]++, place.sample());
    }
    assertArrayEquals(next, plan.samples(step + 1));
    double seconds = (System.nanoTime() - started) / 1e9;
    assertTrue(seconds < 5, "planning took " + seconds + " s");
    double sum = Arrays.stream(SmolLm3Plan.STAGES[1]).sum();
    long[] inStage = plan.samplesInStage(step);
    for (int d = 0; d < next.length; d++) {
      double quota = SmolLm3Plan.STAGES[1][d] / sum * (step - 3_450_000) * SmolLm3Plan.ROWS;
      assertEquals(quota, inStage[d], 2, "dataset " + d);
    }
  }

  @Test
  void unknownDatasetsAndEmptyStagesAreNamed() {
    UserException e =
        assertThrows(
            UserException.class,
            () -> new StagePlan(List.of("a"), 1, List.of(new Stage("s", 1, Map.of("b", 1.0)))));
    assertTrue(e.getMessage().contains("stage 's'") && e.getMessage().contains("b"));
    assertThrows(UserException.class, () -> new Stage("s", 0, Map.of("a", 1.0)));
  }
}
