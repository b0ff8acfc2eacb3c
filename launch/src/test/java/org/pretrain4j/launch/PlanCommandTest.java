package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What `plan` says as a user sees it. */
@Tag("slow")
final class PlanCommandTest {
  @TempDir private Path temp;

  @Test
  void theReferenceRunIsPlannedWithoutItsCluster() {
    Path config = Path.of("..", "configs", "smollm3-3b.yaml").toAbsolutePath().normalize();
    Cli.Result result =
        Cli.run(temp, "plan", config.toString(), "--gpu", "h100", "--gpus", "384").ok();
    for (String part :
        new String[] {
          "3.08B parameters (3,075,098,624), 22.07 GFLOP a token",
          "flops/token = 6 * parameters + 12 * layers * heads * head_dim * sequence",
          "384, idle for 25% of the time, as they share 576 rows; 288 or 576 would have none",
          "of 85.5 GB on a GPU",
          "weights",
          "gradients",
          "optimizer",
          "activations",
          "logits",
          "fits",
          "sent by a GPU in a step (gradients once, weights once)",
          "GPU-hours for 4,720,000 steps, 11.1T tokens",
          "36.9 GB, written in",
          "fineweb-edu",
          "without a manifest in reach"
        }) {
      assertTrue(result.out().contains(part), part + " is missing: " + result);
    }
  }

  @Test
  void memoryOfOperatorsThatAreSwitchedOffIsSaidToBeLeftOut() {
    Path config = Path.of("..", "configs", "smollm3-3b.yaml").toAbsolutePath().normalize();
    String without = "not counted: what training.composed_operators";
    assertFalse(Cli.inside("plan", config.toString()).ok().out().contains(without));
    Cli.Result result =
        Cli.inside(
                "plan",
                config.toString(),
                "--set",
                "training.composed_operators=[swiglu, cross_entropy]")
            .ok();
    String line = without + " (swiglu, cross_entropy) take for a moment";
    assertTrue(result.out().contains(line), result.toString());
  }

  @Test
  void tokensThatARunNeedsAreHeldAgainstWhatItsManifestsHold() throws Exception {
    TinyRun.write(temp);
    Cli.Result before = Cli.run(temp, "plan", TinyRun.CONFIG, "--gpus", "1").ok();
    assertTrue(before.out().contains("2 without a manifest in reach"), before.toString());
    Cli.run(temp, "train", TinyRun.CONFIG).ok();
    assertTrue(Files.exists(temp.resolve("runs/tiny/data/web/manifest.json")));
    Cli.Result after = Cli.run(temp, "plan", TinyRun.CONFIG, "--gpus", "1").ok();
    assertFalse(after.out().contains("without a manifest"), after.toString());
    assertTrue(after.out().matches("(?s).*web +\\S+ +\\S+ +0\\.\\d\\d epochs.*"), after.toString());
    Cli.Result longer =
        Cli.run(temp, "plan", TinyRun.CONFIG, "--gpus", "1", "--set", "stages[0].steps=1000").ok();
    assertTrue(longer.out().contains("more is needed than there is of web ("), longer.toString());
  }
}
