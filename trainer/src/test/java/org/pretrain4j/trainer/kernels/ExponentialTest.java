package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class ExponentialTest {
  @Test
  void isAboutOneUnitInTheLastPlaceOff() {
    double worst = 0;
    int points = 1 << 20;
    float[] x = new float[Lanes.COUNT];
    for (int p = 0; p < points; p += Lanes.COUNT) {
      for (int i = 0; i < Lanes.COUNT; i++) {
        x[i] = (float) (-87.3 + (87.3 + 88.3) * (p + i) / points);
      }
      float[] y = Exponential.of(FloatVector.fromArray(Lanes.FLOATS, x, 0)).toArray();
      for (int i = 0; i < Lanes.COUNT; i++) {
        double exact = Math.exp(x[i]);
        worst = Math.max(worst, Math.abs(y[i] - exact) / Math.ulp((float) exact));
      }
    }
    System.out.println("worst error in ulp: " + worst);
    assertTrue(worst <= 1.01, "worst error in ulp: " + worst);
  }

  @Test
  void specialValues() {
    assertEquals(1, exp(0));
    assertEquals(1, exp(-0f));
    assertEquals(0, exp(-87.4f));
    assertEquals(0, exp(-1e30f));
    assertEquals(0, exp(Float.NEGATIVE_INFINITY));
    assertEquals(Float.POSITIVE_INFINITY, exp(88.4f));
    assertEquals(Float.POSITIVE_INFINITY, exp(1e30f));
    assertEquals(Float.POSITIVE_INFINITY, exp(Float.POSITIVE_INFINITY));
    assertTrue(Float.isNaN(exp(Float.NaN)));
  }

  @Test
  void theSigmoidSaturates() {
    assertEquals(0.5f, sigmoid(0));
    assertEquals(1f, sigmoid(200));
    assertEquals(0f, sigmoid(-200));
    assertEquals(1 / (1 + Math.exp(-1.5)), sigmoid(1.5f), 1e-7);
    assertEquals(1 / (1 + Math.exp(7.5)), sigmoid(-7.5f), 1e-10);
  }

  private static float exp(float x) {
    return Exponential.of(FloatVector.broadcast(Lanes.FLOATS, x)).lane(Lanes.COUNT - 1);
  }

  private static float sigmoid(float x) {
    return Exponential.sigmoid(FloatVector.broadcast(Lanes.FLOATS, x)).lane(0);
  }
}
