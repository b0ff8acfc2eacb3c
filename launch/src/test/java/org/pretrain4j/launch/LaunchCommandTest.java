package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.trainer.parallel.faults.FlightRecord;

/** Supervised runs of two processes: killed, hung, told to stop. */
@Tag("slow")
@EnabledOnOs({OS.LINUX, OS.MAC})
class LaunchCommandTest {
  private static final JsonMapper JSON = new JsonMapper();
  private static final int KILLS = Integer.getInteger("launch.kills", 100);
  private static final long PATIENCE_SECONDS = 280;

  @TempDir Path temporary;
  private Path folder;
  private Process launched;

  @BeforeEach
  void writeRun() throws IOException {
    folder = folder("run");
  }

  @AfterEach
  void endRun() throws InterruptedException {
    if (launched != null) {
      launched.descendants().forEach(ProcessHandle::destroyForcibly);
      launched.destroyForcibly().waitFor();
    }
  }

  private Path folder(String name) throws IOException {
    Path made = Files.createDirectory(temporary.resolve(name));
    TinyRun.write(made);
    return made;
  }

  /** Starts two ranks; JVMs that live for seconds are better off with the simple compiler. */
  private void launch(Path where, List<String> options, String... settings) {
    List<String> arguments = new ArrayList<>(List.of("launch", "--ranks", "2"));
    arguments.addAll(options);
    arguments.addAll(List.of("--", "train", TinyRun.CONFIG));
    for (String setting : settings) {
      arguments.addAll(List.of("--set", setting));
    }
    List<String> cheap = List.of("env", "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1");
    launched = Cli.start(where, cheap, arguments.toArray(String[]::new));
  }

  private void await(String what, BooleanSupplier condition) throws Exception {
    long deadline = System.nanoTime() + PATIENCE_SECONDS * 1_000_000_000L;
    while (!condition.getAsBoolean()) {
      boolean patient = launched.isAlive() && System.nanoTime() < deadline;
      assertTrue(patient, () -> "waited for " + what + " in vain:\n" + output());
      Thread.sleep(3);
    }
  }

  private String output() {
    try {
      return Files.readString(folder.resolve("stdout"))
          + Files.readString(folder.resolve("stderr"));
    } catch (IOException e) {
      return e.toString();
    }
  }

  /** The process of a rank that has joined the others and lives. */
  private Optional<ProcessHandle> rank(int rank) {
    try {
      return FlightRecord.read(folder.resolve("runs/tiny/records"), rank)
          .flatMap(record -> ProcessHandle.of(record.pid()))
          .filter(ProcessHandle::isAlive);
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  private int lastStep() {
    List<JsonNode> lines = metrics(folder);
    return lines.isEmpty() ? 0 : lines.getLast().get("step").intValue();
  }

  private static List<JsonNode> metrics(Path folder) {
    Path file = folder.resolve("runs/tiny/metrics.jsonl");
    List<JsonNode> lines = new ArrayList<>();
    try {
      String text = Files.exists(file) ? Files.readString(file) : "";
      // While the run goes on, the last line may be half written.
      for (String line : text.substring(0, text.lastIndexOf('\n') + 1).lines().toList()) {
        lines.add(JSON.readTree(line));
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return lines;
  }

  private static Map<Long, Double> losses(Path folder) {
    Map<Long, Double> losses = new TreeMap<>();
    for (JsonNode line : metrics(folder)) {
      Double twice = losses.put(line.get("step").longValue(), line.get("loss").doubleValue());
      assertEquals(null, twice, () -> "step twice: " + line);
    }
    return losses;
  }

  private static CheckpointStore store(Path folder) {
    return CheckpointStore.open(folder.resolve("runs/tiny/checkpoints").toString());
  }

  private static float[] values(Path folder, String kind) {
    Checkpoint checkpoint =
        store(folder)
            .newestGood(
                warning -> {
                  throw new AssertionError(warning);
                })
            .orElseThrow();
    long elements = checkpoint.layout().elements();
    try (Arena arena = Arena.ofShared()) {
      MemorySegment segment = arena.allocate(ValueLayout.JAVA_FLOAT, elements);
      checkpoint.read(kind, new FlatRange(0, elements), segment);
      return segment.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  @Test
  void aHundredKillsOfRandomRanksChangeNoBit() throws Exception {
    long seed = System.nanoTime();
    System.out.println("seed of the kills: " + seed);
    Random random = new Random(seed);
    String[] settings = {
      "stages.0.steps=260", "checkpoints.every_steps=1", "checkpoints.keep_last=2"
    };
    Path undisturbed = folder("undisturbed");
    launch(undisturbed, List.of(), settings);
    Cli.await(undisturbed, launched).ok();

    long start = System.nanoTime();
    launch(folder, List.of("--restarts", "1000", "--backoff", "0", "--grace", "0.3"), settings);
    int kills = 0;
    int whileSaving = 0;
    while (kills < KILLS) {
      await("both ranks", () -> rank(0).isPresent() && rank(1).isPresent());
      ProcessHandle[] ranks = {rank(0).orElseThrow(), rank(1).orElseThrow()};
      int beyond = random.nextInt(4);
      int until = lastStep() + beyond;
      await(
          "step " + until, () -> lastStep() >= until || !ranks[0].isAlive() || !ranks[1].isAlive());
      if (beyond == 0 || random.nextBoolean()) {
        Thread.sleep(random.nextInt(beyond == 0 ? 600 : 60));
      } else {
        await("a save", () -> isSaving() || !ranks[0].isAlive() || !ranks[1].isAlive());
      }
      whileSaving += isSaving() ? 1 : 0;
      int first = random.nextInt(2);
      kills += ranks[first].destroyForcibly() ? 1 : 0;
      // The other one falls now or in a moment, while it notices.
      Thread.sleep(random.nextInt(30));
      kills += ranks[1 - first].isAlive() && ranks[1 - first].destroyForcibly() ? 1 : 0;
      await("their end", () -> !ranks[0].isAlive() && !ranks[1].isAlive());
    }
    Cli.Result result = Cli.await(folder, launched).ok();
    System.out.printf(
        "%d kills, %d of them in pairs that hit a save, in %.0f s%n",
        kills, whileSaving, (System.nanoTime() - start) * 1e-9);
    assertTrue(result.out().contains("was killed by signal 9"), result::toString);
    assertTrue(whileSaving >= 5, whileSaving + " kills while saving, seed " + seed);
    assertEquals(losses(undisturbed), losses(folder), "seed " + seed);
    for (String kind : List.of("master", "exp_avg", "exp_avg_sq")) {
      assertArrayEquals(values(undisturbed, kind), values(folder, kind), kind + ", seed " + seed);
    }
  }

  /** Whether a checkpoint is being written. */
  private boolean isSaving() {
    try (Stream<Path> files = Files.list(folder.resolve("runs/tiny/checkpoints"))) {
      return files.anyMatch(path -> path.getFileName().toString().startsWith(".staging-"));
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void aCrashAndAHangAreNamedAndTheRunGoesOnToItsEnd() throws Exception {
    launch(
        folder,
        List.of("--backoff", "0.1"),
        "faults=[{kind: crash, step: 6, rank: 1}, {kind: hang, step: 12, rank: 0, attempt: 2}]",
        "parallelism.hang_timeout_seconds=4");
    await("the hang", () -> output().contains("injected fault: HANG"));
    long start = System.nanoTime();
    await("its name", () -> output().contains("the run hangs: rank 0 has not gone on for"));
    double seconds = (System.nanoTime() - start) * 1e-9;
    assertTrue(seconds < 4 + 10, "named after " + seconds + " s");
    Cli.Result result = Cli.await(folder, launched).ok();
    assertTrue(result.out().contains("attempt 1: rank 1 was killed by signal 9"), result::toString);
    String dump = Files.readString(folder.resolve("runs/tiny/records/hang-rank-0.txt"));
    assertTrue(dump.contains("FaultInjector.hang"), dump);
    assertEquals(TinyRun.STEPS, losses(folder).size());
  }

  @Test
  void aRunThatAlwaysHangsEndsWithTheExitCodeOfAHang() throws Exception {
    launch(
        folder,
        List.of("--restarts", "0"),
        "faults=[{kind: hang, step: 3, rank: 1}]",
        "parallelism.hang_timeout_seconds=3");
    Cli.Result result = Cli.await(folder, launched);
    assertEquals(ExitCode.HUNG.number(), result.code(), result::toString);
  }

  @Test
  void aSignalToOneRankMakesAllSaveTheSameStepAndLeave() throws Exception {
    launch(folder, List.of(), "checkpoints.every_steps=1000");
    await("step 3", () -> lastStep() >= 3);
    rank(1).orElseThrow().destroy();
    Cli.Result result = Cli.await(folder, launched);
    assertEquals(ExitCode.SAVED.number(), result.code(), result::toString);
    assertEquals(1, store(folder).steps().size());
    String saved = "stopped and saved after " + store(folder).steps().getFirst() + " steps";
    assertTrue(result.out().contains("[rank 0] " + saved), result::toString);
    assertTrue(result.out().contains("[rank 1] " + saved), result::toString);
  }

  @Test
  void aSignalToARankThatWaitsForPreparedDataEndsAllOfThem() throws Exception {
    launch(folder, List.of(), "data.datasets.math.documents=8000000");
    await("rank 1", () -> rank(1).isPresent());
    rank(1).orElseThrow().destroy();
    Cli.Result result = Cli.await(folder, launched);
    assertEquals(ExitCode.SAVED.number(), result.code(), result::toString);
    assertEquals(List.of(), metrics(folder));
  }

  @Test
  void aSignalToTheSupervisorIsPassedOnAndItsDeathEndsTheRanks() throws Exception {
    String[] settings = {"stages.0.steps=100000", "checkpoints.every_steps=1000"};
    launch(folder, List.of(), settings);
    await("step 3", () -> lastStep() >= 3);
    launched.destroy();
    Cli.Result result = Cli.await(folder, launched);
    assertEquals(ExitCode.SAVED.number(), result.code(), result::toString);
    long saved = store(folder).steps().getLast();

    launch(folder, List.of(), settings);
    await("a step after " + saved, () -> lastStep() > saved);
    List<ProcessHandle> ranks = List.of(rank(0).orElseThrow(), rank(1).orElseThrow());
    launched.destroyForcibly().waitFor();
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
    assertFalse(Files.exists(folder.resolve("runs")));
  }
}
