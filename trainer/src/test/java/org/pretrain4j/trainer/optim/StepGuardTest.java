package org.pretrain4j.trainer.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.pretrain4j.trainer.optim.StepGuard.Verdict.APPLY;
import static org.pretrain4j.trainer.optim.StepGuard.Verdict.SKIP;
import static org.pretrain4j.trainer.optim.StepGuard.Verdict.STOP;

import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.trainer.optim.StepGuard.OnSpike;
import org.pretrain4j.trainer.optim.StepGuard.SpikePolicy;

class StepGuardTest {
  @ParameterizedTest
  @CsvSource({"NaN, 1", "1, NaN", "Infinity, 1", "1, Infinity", "-Infinity, 1", "NaN, NaN"})
  void aStepThatIsNotFiniteIsSkipped(double loss, double norm) {
    StepGuard guard = new StepGuard(5, Optional.empty());
    assertEquals(APPLY, guard.judge(0, 2, 1).verdict());
    StepGuard.Decision decision = guard.judge(1, loss, norm);
    assertEquals(SKIP, decision.verdict());
    assertTrue(decision.reason().startsWith("step 1: loss " + loss + ", gradient norm " + norm));
    assertEquals(APPLY, guard.judge(2, 2, 1).verdict());
    assertEquals(1, guard.skipped());
  }

  @Test
  void oneMoreThanTheAllowedNumberInARowStops() {
    StepGuard guard = new StepGuard(3, Optional.empty());
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < 3; i++) {
        assertEquals(SKIP, guard.judge(i, Double.NaN, 1).verdict());
      }
      assertEquals(APPLY, guard.judge(3, 2, 1).verdict(), "a good step ends the row");
    }
    for (int i = 0; i < 3; i++) {
      guard.judge(i, 2, Double.POSITIVE_INFINITY);
    }
    StepGuard.Decision decision = guard.judge(9, Double.NaN, 1);
    assertEquals(STOP, decision.verdict());
    assertTrue(decision.reason().contains("after 3 skipped steps in a row"));
    assertEquals(9, guard.skipped());
  }

  @Test
  void withNoneAllowedTheFirstBadStepStops() {
    assertEquals(STOP, new StepGuard(0, Optional.empty()).judge(0, Double.NaN, 1).verdict());
  }

  @Test
  void aSpikeIsSkippedOrStops() {
    StepGuard skipping = guard(OnSpike.SKIP);
    assertEquals(SKIP, skipping.judge(50, 9, 1).verdict());
    assertEquals(1, skipping.skipped());
    StepGuard.Decision stop = guard(OnSpike.STOP).judge(50, 9, 1);
    assertEquals(STOP, stop.verdict());
    assertTrue(stop.reason().startsWith("step 50: loss 9.0000 is "), stop.reason());
  }

  @Test
  void aLossThatIsNotFiniteIsSkippedEvenWhereSpikesStopAndStaysOutOfTheWindow() {
    StepGuard guard = guard(OnSpike.STOP);
    List<Double> before = guard.state().losses();
    assertEquals(SKIP, guard.judge(50, Double.NaN, 1).verdict());
    assertEquals(SKIP, guard.judge(51, 2, Double.NaN).verdict());
    assertEquals(before, guard.state().losses());
    assertEquals(STOP, guard.judge(52, 9, 1).verdict(), "the guard must still see");
  }

  @Test
  void aRestoredGuardJudgesAsTheOneThatWasSavedAndAsThatOfAnotherRank() {
    long seed = 123;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    StepGuard first = guard(OnSpike.SKIP);
    StepGuard second = guard(OnSpike.SKIP);
    int[] verdicts = new int[3];
    for (int step = 0; step < 300; step++) {
      double loss = random.nextInt(10) == 0 ? 5 : 2 + 0.05 * random.nextGaussian();
      double norm = random.nextInt(10) == 0 ? Double.NaN : 1;
      StepGuard restored = guard(OnSpike.SKIP);
      restored.restore(first.state());
      StepGuard.Decision decision = first.judge(step, loss, norm);
      assertEquals(decision, second.judge(step, loss, norm));
      assertEquals(decision, restored.judge(step, loss, norm));
      assertEquals(first.state(), restored.state());
      verdicts[decision.verdict().ordinal()]++;
    }
    assertTrue(verdicts[0] > 0 && verdicts[1] > 0, "both verdicts occur");
  }

  private static StepGuard guard(OnSpike action) {
    StepGuard guard =
        new StepGuard(3, Optional.of(new SpikePolicy(new SpikeDetector(32, 6), action)));
    Random random = new Random(5);
    for (int step = 0; step < 32; step++) {
      assertEquals(APPLY, guard.judge(step, 2 + 0.05 * random.nextGaussian(), 1).verdict());
    }
    return guard;
  }
}
