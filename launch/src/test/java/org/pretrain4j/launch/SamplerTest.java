package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.pretrain4j.configuration.UserException;

class SamplerTest {
  /** Probabilities 0.5, 0.3, 0.15 and 0.05 at temperature 1. */
  private static final float[] LOGITS = {
    (float) Math.log(0.3), (float) Math.log(0.05), (float) Math.log(0.5), (float) Math.log(0.15)
  };

  private static double[] frequencies(Sampler sampler, int candidates) {
    int draws = 20_000;
    double[] frequencies = new double[LOGITS.length];
    for (int i = 0; i < draws; i++) {
      frequencies[sampler.next(LOGITS, candidates)] += 1.0 / draws;
    }
    return frequencies;
  }

  @Test
  void temperatureZeroTakesTheLikeliest() {
    Sampler sampler = new Sampler(0, 1, 5);
    for (int i = 0; i < 10; i++) {
      assertEquals(2, sampler.next(LOGITS, 4));
    }
  }

  @Test
  void drawsByProbability() {
    double[] frequencies = frequencies(new Sampler(1, 1, 5), 4);
    assertEquals(0.3, frequencies[0], 0.015);
    assertEquals(0.05, frequencies[1], 0.01);
    assertEquals(0.5, frequencies[2], 0.015);
    assertEquals(0.15, frequencies[3], 0.015);
  }

  @Test
  void aHighTemperatureEvensOutAndALowOneSharpens() {
    // At temperature 2 the probabilities go with their square roots.
    double root = Math.sqrt(0.5) + Math.sqrt(0.3) + Math.sqrt(0.15) + Math.sqrt(0.05);
    assertEquals(Math.sqrt(0.5) / root, frequencies(new Sampler(2, 1, 5), 4)[2], 0.015);
    double square = 0.25 + 0.09 + 0.0225 + 0.0025;
    assertEquals(0.25 / square, frequencies(new Sampler(0.5, 1, 5), 4)[2], 0.015);
  }

  @Test
  void topPKeepsTheFewestTokensThatReachIt() {
    double[] frequencies = frequencies(new Sampler(1, 0.75, 5), 4);
    assertEquals(0.5 / 0.8, frequencies[2], 0.015);
    assertEquals(0.3 / 0.8, frequencies[0], 0.015);
    assertEquals(0, frequencies[1] + frequencies[3]);
  }

  @Test
  void neverDrawsBeyondTheTokenizersVocabulary() {
    double[] frequencies = frequencies(new Sampler(1, 1, 5), 2);
    assertEquals(0.3 / 0.35, frequencies[0], 0.015);
    assertEquals(0, frequencies[2] + frequencies[3]);
  }

  @Test
  void theSeedDecides() {
    Sampler one = new Sampler(1, 1, 7);
    Sampler two = new Sampler(1, 1, 7);
    for (int i = 0; i < 100; i++) {
      assertEquals(one.next(LOGITS, 4), two.next(LOGITS, 4));
    }
  }

  @Test
  void refusesWhatCannotBe() {
    assertThrows(UserException.class, () -> new Sampler(-1, 0.9, 0));
    assertThrows(UserException.class, () -> new Sampler(Double.NaN, 0.9, 0));
    UserException error = assertThrows(UserException.class, () -> new Sampler(1, 0, 0));
    assertTrue(error.getMessage().contains("--top-p"), error.getMessage());
  }
}
