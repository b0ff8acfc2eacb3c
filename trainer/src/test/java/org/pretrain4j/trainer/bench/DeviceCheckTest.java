package org.pretrain4j.trainer.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.ScalarType;

/** The check of a GPU, with the CPU in its place. */
final class DeviceCheckTest {
  private static final String SPOILT = "model.layers.1.mlp.down_proj.weight";

  @Test
  void theCpuInBfloat16PassesAgainstItselfInFloat32() {
    try (ComputeDevice device = ComputeDevice.host(1)) {
      DeviceCheck.Report report = new DeviceCheck(device, Shape.named("tiny")).run();
      assertTrue(report.passes(), report.toString());
      assertTrue(report.gradientError() > 0, "bf16 is not fp32: " + report);
      assertEquals(OptimizerCheck.Report.EXACT, report.optimizer());
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {1.1f, -1, 0, Float.NaN})
  void oneSpoiltGradientFailsAndIsNamed(float factor) {
    try (ComputeDevice device = ComputeDevice.host(1)) {
      DeviceCheck check = new DeviceCheck(device, Shape.named("tiny"));
      DeviceCheck.Result expected = check.pass(device, ScalarType.FLOAT32);
      Map<String, float[]> gradients = new HashMap<>(expected.gradients());
      float[] spoilt = gradients.get(SPOILT).clone();
      for (int i = 0; i < spoilt.length; i++) {
        spoilt[i] *= factor;
      }
      gradients.put(SPOILT, spoilt);
      DeviceCheck.Report report =
          DeviceCheck.report(
              expected,
              new DeviceCheck.Result(expected.loss(), gradients),
              OptimizerCheck.Report.EXACT);
      assertFalse(report.passes(), report.toString());
      assertEquals(SPOILT, report.gradient());
    }
  }

  @Test
  void anOptimizerThatIsOffFailsTheWhole() {
    OptimizerCheck.Report off = new OptimizerCheck.Report(1e-5, 0, 0);
    assertTrue(new DeviceCheck.Report(1, 1, 0, "", 0, OptimizerCheck.Report.EXACT).passes());
    assertFalse(new DeviceCheck.Report(1, 1, 0, "", 0, off).passes());
  }
}
