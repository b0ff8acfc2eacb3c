package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** A supervised run whose ranks are killed again and again, also while they save. */
@Tag("slow")
@EnabledOnOs({OS.LINUX, OS.MAC})
class KilledRanksTest {
  private static final int KILLS = Integer.getInteger("launch.kills", 100);
  private static final String[] SETTINGS = {
    "stages.0.steps=500", "checkpoints.every_steps=1", "checkpoints.keep_last=2"
  };

  @TempDir Path temporary;
  private final long seed = Long.getLong("launch.seed", System.nanoTime());
  private final Random random = new Random(seed);

  @Test
  void aHundredKillsOfRandomRanksChangeNoBit() throws Exception {
    System.out.println("seed of the kills: " + seed);
    try (SupervisedRun undisturbed = new SupervisedRun(temporary.resolve("undisturbed"));
        SupervisedRun run = new SupervisedRun(temporary.resolve("run"))) {
      undisturbed.launch(List.of(), SETTINGS);
      undisturbed.result().ok();
      long start = System.nanoTime();
      run.launch(List.of("--restarts", "1000", "--backoff", "0", "--grace", "0.3"), SETTINGS);
      int kills = 0;
      int whileSaving = 0;
      while (kills < KILLS) {
        run.await("both ranks", () -> run.rank(0).isPresent() && run.rank(1).isPresent());
        List<ProcessHandle> ranks = List.of(run.rank(0).orElseThrow(), run.rank(1).orElseThrow());
        awaitMoment(run, ranks);
        whileSaving += run.isSaving() ? 1 : 0;
        kills += kill(ranks);
        run.await("their end", () -> ranks.stream().noneMatch(ProcessHandle::isAlive));
      }
      double seconds = (System.nanoTime() - start) * 1e-9;
      Cli.Result result = run.result().ok();
      System.out.printf(
          "%d kills in %.0f s, %d times while a save was under way%n", kills, seconds, whileSaving);
      assertTrue(result.out().contains("was killed by signal 9"), result::toString);
      assertTrue(whileSaving > 0, "seed " + seed);
      assertEquals(undisturbed.losses(), run.losses(), "seed " + seed);
      for (String kind : List.of("master", "exp_avg", "exp_avg_sq")) {
        assertArrayEquals(
            SavedValues.of(undisturbed.store(), kind),
            SavedValues.of(run.store(), kind),
            kind + ", seed " + seed);
      }
    }
  }

  /** Before the first step, some steps later, or in the middle of a save. */
  private void awaitMoment(SupervisedRun run, List<ProcessHandle> ranks) throws Exception {
    int beyond = random.nextInt(4);
    int until = run.lastStep() + beyond;
    run.await("step " + until, () -> run.lastStep() >= until || anyDied(ranks));
    if (beyond == 0 || random.nextBoolean()) {
      Thread.sleep(random.nextInt(beyond == 0 ? 600 : 60));
    } else {
      run.await("a save", () -> run.isSaving() || anyDied(ranks));
    }
  }

  private static boolean anyDied(List<ProcessHandle> ranks) {
    return !ranks.stream().allMatch(ProcessHandle::isAlive);
  }

  /** One rank, and the other now or in a moment, while it notices. */
  private int kill(List<ProcessHandle> ranks) throws InterruptedException {
    int first = random.nextInt(2);
    int kills = ranks.get(first).destroyForcibly() ? 1 : 0;
    Thread.sleep(random.nextInt(30));
    ProcessHandle other = ranks.get(1 - first);
    return other.isAlive() && other.destroyForcibly() ? kills + 1 : kills;
  }
}
