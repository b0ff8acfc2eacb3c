package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A whole run by fused kernels, against the same by libtorch's own operators. */
final class KernelsAgreeTest {
  private static final int STEPS = 60;

  /** What docs/architecture.md promises for losses in bf16. */
  private static final double TOLERANCE = 0.01;

  @TempDir private Path temp;

  private List<Double> losses(String kernels) {
    SmallRun run =
        new SmallRun(temp.resolve(kernels), STEPS, "bf16", 1, 100)
            .with("hidden_size: 32", "hidden_size: 128")
            .with("intermediate_size: 48", "intermediate_size: 96")
            .with("kernels: \"fused\"", "kernels: " + kernels);
    run.train();
    return run.losses();
  }

  @Test
  void lossesOfAWholeRunStayWithinTheToleranceOfBfloat16() {
    List<Double> fused = losses("fused");
    List<Double> composed = losses("composed");
    assertEquals(STEPS, fused.size());
    assertTrue(fused.getLast() < 0.7 * fused.getFirst(), "it learns: " + fused);
    double most = 0;
    for (int step = 0; step < STEPS; step++) {
      double expected = composed.get(step);
      most = Math.max(most, Math.abs(fused.get(step) - expected) / expected);
      assertEquals(expected, fused.get(step), TOLERANCE * expected, "step " + (step + 1));
    }
    System.out.println("losses differ by at most " + most + " relative");
  }
}
