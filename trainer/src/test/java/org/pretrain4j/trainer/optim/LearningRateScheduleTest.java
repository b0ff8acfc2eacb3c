package org.pretrain4j.trainer.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.trainer.optim.LearningRateSchedule.WarmupCosine;
import org.pretrain4j.trainer.optim.LearningRateSchedule.WarmupStableDecay;
import org.pretrain4j.trainer.optim.ScheduleConfig.DecayShape;

class LearningRateScheduleTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "1, 1e-7",
    "1000, 1e-4",
    "1999, 1.999e-4",
    "2000, 2e-4",
    "2001, 2e-4",
    "3450000, 2e-4",
    "4198000, 2e-4",
    "4198001, 2e-4",
    "4198002, 1.9999961685823754e-4",
    "4459001, 1e-4",
    "4719999, 7.662835249042146e-10",
    "4720000, 3.831417624521073e-10",
    "4720001, 0",
    "9000000, 0"
  })
  void followsTheReferenceRun(long step, double rate) {
    var schedule = new WarmupStableDecay(2e-4, 2000, 4_198_001, 522_000, DecayShape.LINEAR, 0);
    assertEquals(rate, schedule.at(step), 1e-18);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "500, 1e-5",
    "1000, 2e-5",
    "5750, 1.7071067811865476e-05",
    "10500, 1e-5",
    "15250, 2.9289321881345254e-06",
    "20000, 0"
  })
  void followsTheLongContextRuns(long step, double rate) {
    assertEquals(rate, new WarmupCosine(2e-5, 1000, 19_000, 0).at(step), 1e-19);
  }

  @ParameterizedTest
  @CsvSource({
    "LINEAR, 100, 1.1",
    "LINEAR, 125, 0.85",
    "LINEAR, 150, 0.6",
    "LINEAR, 200, 0.1",
    "COSINE, 100, 1.1",
    "COSINE, 125, 0.9535533905932737",
    "COSINE, 150, 0.6",
    "COSINE, 200, 0.1",
    "ONE_MINUS_SQRT, 100, 1.1",
    "ONE_MINUS_SQRT, 125, 0.6",
    "ONE_MINUS_SQRT, 181, 0.2",
    "ONE_MINUS_SQRT, 200, 0.1"
  })
  void decaysToTheMinimumInEachShape(DecayShape shape, long step, double rate) {
    var schedule = new WarmupStableDecay(1.1, 10, 100, 100, shape, 0.1);
    assertEquals(rate, schedule.at(step), 1e-15);
  }

  @Test
  void withoutWarmupTheFirstStepHasTheFullRate() {
    var schedule = new WarmupStableDecay(0.5, 0, 10, 10, DecayShape.LINEAR, 0);
    assertEquals(0.5, schedule.at(0));
  }

  @Test
  void withoutDecayTheMinimumFollowsTheStablePhase() {
    var schedule = new WarmupStableDecay(0.5, 2, 10, 0, DecayShape.LINEAR, 0.1);
    assertEquals(0.5, schedule.at(9));
    assertEquals(0.1, schedule.at(10));
  }

  @Test
  void stepsCountFromZero() {
    var schedule = new WarmupStableDecay(0.5, 0, 10, 10, DecayShape.LINEAR, 0);
    assertThrows(IllegalArgumentException.class, () -> schedule.at(-1));
  }

  @Test
  void comesFromAConfigurationOfEitherType() {
    var wsd =
        new ScheduleConfig(
            ScheduleConfig.Type.WSD,
            5,
            Optional.of(50L),
            Optional.empty(),
            Optional.of(DecayShape.ONE_MINUS_SQRT),
            0.01);
    assertEquals(
        new WarmupStableDecay(1, 5, 50, 45, DecayShape.ONE_MINUS_SQRT, 0.01),
        LearningRateSchedule.of(wsd.resolve(100), 1));
    var cosine =
        new ScheduleConfig(
            ScheduleConfig.Type.COSINE,
            5,
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            0.01);
    assertEquals(new WarmupCosine(1, 5, 95, 0.01), LearningRateSchedule.of(cosine.resolve(100), 1));
  }
}
