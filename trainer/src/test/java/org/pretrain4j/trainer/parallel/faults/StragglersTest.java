package org.pretrain4j.trainer.parallel.faults;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class StragglersTest {
  private static final List<String> PHASES = List.of("data", "forward", "backward");
  private static final double[] WAITED = {0.31, 0.32, 0.01, 0.31};

  private static double[][] step(int ranks, int slow, double forward) {
    double[][] seconds = new double[ranks][];
    for (int rank = 0; rank < ranks; rank++) {
      seconds[rank] = new double[] {0.01, rank == slow ? forward : 0.2, 0.4};
    }
    return seconds;
  }

  @Test
  void theSlowestRankAndItsPhaseAreNamed() {
    Stragglers stragglers = new Stragglers(4, PHASES, 5, 1.2);
    for (int i = 0; i < 4; i++) {
      stragglers.add(step(4, 2, 0.5), WAITED);
      assertTrue(stragglers.find().isEmpty(), "the window is not full");
    }
    stragglers.add(step(4, 2, 0.5), WAITED);
    assertEquals(
        "rank 2 lags: 0.910 s of work a step (99th percentile 0.910 s), the others 0.610 s; most of"
            + " it in forward (0.500 s); it waits 0.010 s for others, they 0.310 s",
        stragglers.find().orElseThrow().describe());
  }

  @Test
  void oneSlowStepIsNoLag() {
    Stragglers stragglers = new Stragglers(4, PHASES, 5, 1.2);
    for (int i = 0; i < 5; i++) {
      stragglers.add(step(4, 2, i == 3 ? 9 : 0.2), WAITED);
    }
    assertTrue(stragglers.find().isEmpty());
  }
}
