package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.ConfigurationReader;

/** A whole run by fused kernels, against the same by libtorch's own operators. */
final class KernelsAgreeTest {
  /** What docs/architecture.md promises for losses in bf16. */
  private static final double TOLERANCE = 0.01;

  private static final int QUICKSTART_STEPS = 30;

  @TempDir private Path temp;

  private SmallRun small(String kernels) {
    return new SmallRun(temp.resolve(kernels), 60, "bf16", 1, 100)
        .with("hidden_size: 32", "hidden_size: 128")
        .with("intermediate_size: 48", "intermediate_size: 96")
        .with("kernels: \"fused\"", "kernels: " + kernels);
  }

  /**
   * On its generated documents alone, as the texts of the project change, and at a third of its
   * learning rate: at the whole of it the loss jumps before it falls, and there two runs part by
   * whatever they round otherwise.
   */
  private SmallRun quickstart(String kernels) {
    Path folder = temp.resolve(kernels);
    return SmallRun.of(
        folder,
        ConfigurationReader.read(
            RunConfig.class,
            Path.of("..", "configs", "quickstart.yaml"),
            List.of(
                "run_folder=" + folder,
                "tokenizer.path=../configs/tokenizers/bytes/tokenizer.json",
                "data.datasets={math: {synthetic: arithmetic, documents: 6000}}",
                "stages=[{name: all, steps: 300, mixture: {math: 1}}]",
                "optimizer.learning_rate=1e-3",
                "training.precision=bf16",
                "training.kernels=" + kernels,
                "parallelism.compute_threads=1")));
  }

  /** Of the first steps; the run then stops. */
  private static List<Double> losses(SmallRun run, int steps) {
    StopRequest stop = new StopRequest();
    run.train(
        Resume.AUTO,
        stop,
        metrics -> {
          if (metrics.step() == steps) {
            stop.stop();
          }
        });
    return run.losses().subList(0, steps);
  }

  /** Checks the loss of each step, and prints the largest relative difference. */
  private static void assertAgree(int steps, Function<String, SmallRun> run) {
    List<Double> fused = losses(run.apply("fused"), steps);
    List<Double> composed = losses(run.apply("composed"), steps);
    assertTrue(fused.getLast() < 0.7 * fused.getFirst(), "it learns: " + fused);
    double most = 0;
    for (int step = 0; step < steps; step++) {
      double expected = composed.get(step);
      most = Math.max(most, Math.abs(fused.get(step) - expected) / expected);
      assertEquals(expected, fused.get(step), TOLERANCE * expected, "step " + (step + 1));
    }
    System.out.println("losses of " + steps + " steps differ by at most " + most + " relative");
  }

  @Test
  void lossesOfAWholeRunStayWithinTheToleranceOfBfloat16() {
    assertAgree(60, this::small);
  }

  @Test
  @Tag("slow")
  void lossesOfTheQuickstartsModelStayWithinTheToleranceOfBfloat16() {
    assertAgree(QUICKSTART_STEPS, this::quickstart);
  }
}
