package org.pretrain4j.trainer.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SpikeDetectorTest {
  @Test
  void scoresByStandardDeviationsAboveTheMean() {
    SpikeDetector detector = filled(4, 3, 1, 3, 1, 3); // mean 2, deviation 1
    assertEquals(1.5, detector.score(3.5));
    assertEquals(-2, detector.score(0));
    assertFalse(detector.observe(5));
    assertTrue(filled(4, 3, 1, 3, 1, 3).observe(5.01));
  }

  @Test
  void nothingIsAnOutlierUntilTheWindowIsHalfFull() {
    SpikeDetector detector = new SpikeDetector(8, 3);
    for (double value : new double[] {1, 1.1, 1.2}) {
      assertFalse(detector.observe(value));
    }
    assertEquals(0, detector.score(1000));
    assertFalse(detector.observe(1.1));
    assertTrue(detector.observe(1000));
  }

  @Test
  void aFallIsNoSpike() {
    assertFalse(filled(4, 3, 5, 5.1, 5, 5.1).observe(0.1));
  }

  @Test
  void valuesThatAreNotFiniteStayOutOfTheWindow() {
    SpikeDetector detector = filled(4, 3, 1, 3, 1, 3);
    List<Double> before = detector.window();
    for (double bad : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
      assertEquals(Double.POSITIVE_INFINITY, detector.score(bad));
      assertTrue(detector.observe(bad));
    }
    assertEquals(before, detector.window());
    assertTrue(detector.observe(6), "the guard must still see");
    assertThrows(IllegalArgumentException.class, () -> detector.restore(List.of(1.0, Double.NaN)));
  }

  @Test
  void anOutlierEntersAsTheLargestValueThatWouldHavePassed() {
    SpikeDetector detector = filled(4, 3, 1, 3, 1, 3);
    assertTrue(detector.observe(1e6));
    assertEquals(List.of(3.0, 1.0, 3.0, 5.0), detector.window());
    assertTrue(detector.observe(1e6), "the first must not hide the second");
  }

  @Test
  void aLastingChangeOfLevelIsAcceptedInTheEnd() {
    Random random = new Random(1);
    SpikeDetector detector = new SpikeDetector(64, 6);
    for (int i = 0; i < 64; i++) {
      detector.observe(2 + 0.1 * random.nextGaussian());
    }
    int outliers = 0;
    while (detector.observe(6 + 0.1 * random.nextGaussian())) {
      outliers++;
    }
    assertTrue(outliers > 5 && outliers < 64, "outliers " + outliers);
  }

  @Test
  void theWindowKeepsTheLatestValues() {
    SpikeDetector detector = filled(3, 1e9, 1, 2, 3, 4, 5);
    assertEquals(List.of(3.0, 4.0, 5.0), detector.window());
    detector.restore(List.of(1.0, 2.0, 3.0, 4.0));
    assertEquals(List.of(2.0, 3.0, 4.0), detector.window());
    detector.clear();
    assertEquals(List.of(), detector.window());
  }

  @Test
  void aRestoredDetectorDecidesAsTheOneThatWasSaved() {
    long seed = 77;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    SpikeDetector original = new SpikeDetector(16, 1.5);
    int outliers = 0;
    for (int i = 0; i < 200; i++) {
      SpikeDetector restored = new SpikeDetector(16, 1.5);
      restored.restore(original.window());
      double value = random.nextGaussian();
      assertEquals(original.score(value), restored.score(value));
      boolean outlier = original.observe(value);
      assertEquals(outlier, restored.observe(value));
      outliers += outlier ? 1 : 0;
    }
    assertTrue(outliers > 0);
  }

  @Test
  void equalValuesStillGiveAScale() {
    SpikeDetector detector = filled(4, 3, 2, 2, 2, 2);
    assertFalse(detector.observe(2));
    assertTrue(detector.observe(2.1));
    assertFalse(filled(4, 3, 0, 0, 0, 0).observe(0));
  }

  private static SpikeDetector filled(int size, double threshold, double... values) {
    SpikeDetector detector = new SpikeDetector(size, threshold);
    for (double value : values) {
      detector.observe(value);
    }
    return detector;
  }
}
