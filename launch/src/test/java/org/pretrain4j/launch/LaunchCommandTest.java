package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Supervised runs of two processes that crash, hang or are told to stop. */
@Tag("slow")
@EnabledOnOs({OS.LINUX, OS.MAC})
class LaunchCommandTest {
  @TempDir Path temporary;
  private SupervisedRun run;

  @BeforeEach
  void writeRun() throws IOException {
    run = new SupervisedRun(temporary.resolve("run"));
  }

  @AfterEach
  void endRun() {
    run.close();
  }

  @Test
  void aCrashAndAHangAreNamedAndTheRunGoesOnToItsEnd() throws Exception {
    run.launch(
        List.of("--backoff", "0.1"),
        "faults=[{kind: crash, step: 6, rank: 1}, {kind: hang, step: 12, rank: 0, attempt: 2}]",
        "parallelism.hang_timeout_seconds=15");
    run.await("the hang", () -> run.output().contains("injected fault: HANG"));
    long start = System.nanoTime();
    run.await("its name", () -> run.output().contains("the run hangs: rank 0 has not gone on for"));
    double seconds = (System.nanoTime() - start) * 1e-9;
    assertTrue(seconds < 15 + 45, "named after " + seconds + " s");
    Cli.Result result = run.result().ok();
    assertTrue(result.out().contains("attempt 1: rank 1 was killed by signal 9"), result::toString);
    String dump = Files.readString(run.path("records/hang-rank-0.txt"));
    assertTrue(dump.contains("FaultInjector.hang"), dump);
    assertEquals(TinyRun.STEPS, run.losses().size());
  }

  @Test
  void processesWithSeveralRanksEachAreNamedByThemAndGoOnToTheSameEnd() throws Exception {
    String[] settings = {
      "parallelism.ranks_per_process=2",
      "training.global_batch_tokens=256",
      "checkpoints.every_steps=4",
      "faults=[{kind: crash, step: 6, rank: 3}]"
    };
    run.launch(List.of("--backoff", "0.1"), settings);
    Cli.Result result = run.result().ok();
    String named = "attempt 1: the process of ranks 2-3 was killed by signal 9";
    assertTrue(result.out().contains(named), result::toString);
    assertEquals(TinyRun.STEPS, run.losses().size());
    assertTrue(Files.exists(run.path("records/rank-3.json")));
    try (SupervisedRun undisturbed = new SupervisedRun(temporary.resolve("undisturbed"))) {
      settings[3] = "faults=[]";
      undisturbed.launch(List.of(), settings);
      undisturbed.result().ok();
      assertEquals(undisturbed.losses(), run.losses());
    }
  }

  @Test
  void aRunThatAlwaysHangsEndsWithTheExitCodeOfAHang() throws Exception {
    run.launch(
        List.of("--restarts", "0"),
        "faults=[{kind: hang, step: 3, rank: 1}]",
        "parallelism.hang_timeout_seconds=15");
    Cli.Result result = run.result();
    assertEquals(ExitCode.HUNG.number(), result.code(), result::toString);
    String named = "attempt 1: the run hangs: rank 1 has not gone on for";
    assertTrue(result.out().contains(named), result::toString);
  }

  @Test
  void aSignalToOneRankMakesAllSaveTheSameStepAndLeave() throws Exception {
    run.launch(List.of(), "stages.0.steps=100000", "checkpoints.every_steps=1000");
    run.await("step 3", () -> run.lastStep() >= 3);
    run.rank(1).orElseThrow().destroy();
    Cli.Result result = run.result();
    assertEquals(ExitCode.SAVED.number(), result.code(), result::toString);
    assertEquals(1, run.store().steps().size());
    String saved = "stopped and saved after " + run.store().steps().getFirst() + " steps";
    assertTrue(result.out().contains("[rank 0] " + saved), result::toString);
    assertTrue(result.out().contains("[rank 1] " + saved), result::toString);
  }

  @Test
  void aSignalToARankThatWaitsForPreparedDataEndsAllOfThem() throws Exception {
    run.launch(List.of(), "data.datasets.math.documents=8000000");
    run.await("rank 1", () -> run.rank(1).isPresent());
    run.rank(1).orElseThrow().destroy();
    Cli.Result result = run.result();
    assertEquals(ExitCode.SAVED.number(), result.code(), result::toString);
    assertEquals(List.of(), run.metrics());
  }

  @Test
  void aSignalToTheSupervisorIsPassedOnAndItsDeathEndsTheRanks() throws Exception {
    String[] settings = {"stages.0.steps=100000", "checkpoints.every_steps=1000"};
    run.launch(List.of(), settings);
    run.await("step 3", () -> run.lastStep() >= 3);
    run.process().destroy();
    Cli.Result result = run.result();
    assertEquals(ExitCode.SAVED.number(), result.code(), result::toString);
    long saved = run.store().steps().getLast();

    run.launch(List.of(), settings);
    run.await("a step after " + saved, () -> run.lastStep() > saved);
    List<ProcessHandle> ranks = List.of(run.rank(0).orElseThrow(), run.rank(1).orElseThrow());
    run.process().destroyForcibly().waitFor();
    long deadline = System.nanoTime() + 30_000_000_000L;
    while (ranks.stream().anyMatch(ProcessHandle::isAlive) && System.nanoTime() < deadline) {
      Thread.sleep(20);
    }
    List<ProcessHandle> left = ranks.stream().filter(ProcessHandle::isAlive).toList();
    left.forEach(ProcessHandle::destroyForcibly);
    assertFalse(ranks.stream().anyMatch(left::contains), "ranks live without their supervisor");
  }

  @Test
  void mistakesAreToldBeforeAnythingStarts() {
    Path folder = temporary.resolve("run");
    String error =
        Cli.run(folder, "launch", "--", "validate", TinyRun.CONFIG).error(ExitCode.USAGE);
    assertTrue(error.contains("after -- comes train, not 'validate'"), error);
    error =
        Cli.run(folder, "launch", "--ranks", "0", "--", "train", TinyRun.CONFIG)
            .error(ExitCode.USAGE);
    assertTrue(error.contains("--ranks is 0"), error);
    error =
        Cli.run(folder, "launch", "--", "train", TinyRun.CONFIG, "--set", "seed=x")
            .error(ExitCode.USAGE);
    assertTrue(error.contains("seed"), error);
    String uneven = "parallelism={ranks: 3, ranks_per_process: 2}";
    error =
        Cli.run(folder, "launch", "--", "train", TinyRun.CONFIG, "--set", uneven)
            .error(ExitCode.USAGE);
    assertTrue(error.contains("ranks is 3 and parallelism.ranks_per_process 2"), error);
    assertFalse(Files.exists(folder.resolve("runs")));
  }
}
