package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.CheckpointStore;

/** Whole runs in processes of their own, killed, stopped, damaged and gone on with. */
@Tag("slow")
class TrainingProcessTest {
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir Path temporary;
  private Path folder;

  @BeforeEach
  void writeRun() throws IOException {
    folder = Files.createDirectory(temporary.resolve("run"));
    TinyRun.write(folder);
  }

  @Test
  void aRunThatIsKilledAtRandomStepsEndsWithTheSameBits() throws Exception {
    long seed = System.nanoTime();
    System.out.println("seed of the kills: " + seed);
    Random random = new Random(seed);
    Path undisturbed = Files.createDirectory(temporary.resolve("undisturbed"));
    TinyRun.write(undisturbed);
    Cli.run(undisturbed, "train", TinyRun.CONFIG).ok();

    int step = 0;
    for (int kill = 0; kill < 3; kill++) {
      step += 1 + random.nextInt(TinyRun.STEPS / 3);
      Process process = Cli.start(folder, "train", TinyRun.CONFIG);
      awaitStep(process, step);
      process.destroyForcibly().waitFor();
    }
    Cli.run(folder, "train", TinyRun.CONFIG).ok();

    assertEquals(losses(undisturbed), losses(folder), "seed " + seed);
    for (String kind : List.of("master", "exp_avg", "exp_avg_sq")) {
      assertArrayEquals(
          SavedValues.of(store(undisturbed), kind),
          SavedValues.of(store(folder), kind),
          kind + ", seed " + seed);
    }
  }

  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void aTerminatedRunSavesItsStepAndSaysSo() throws Exception {
    Process process =
        Cli.start(
            folder,
            "train",
            TinyRun.CONFIG,
            "--set",
            "checkpoints.every_steps=1000",
            "--set",
            "faults=[{kind: slow, step: 4, rank: 0, seconds: 10}]");
    awaitStep(process, 3);
    process.destroy();
    Cli.Result result = Cli.await(folder, process);
    assertEquals(ExitCode.SAVED.number(), result.code(), result::toString);
    List<Long> steps = store(folder).steps();
    assertEquals(1, steps.size(), steps::toString);
    assertTrue(steps.getFirst() >= 3, steps::toString);
    assertTrue(result.err().contains("stopped and saved after " + steps.getFirst()), result.err());

    Cli.run(folder, "train", TinyRun.CONFIG, "--resume", "required").ok();
    assertEquals(TinyRun.STEPS, losses(folder).size());
  }

  @Test
  void aRunShowsWhatItDoesAndLeavesWhatItPromised() throws Exception {
    Cli.Result result = Cli.run(folder, "train", TinyRun.CONFIG).ok();
    for (String stage : List.of("stage one", "stage two", "stage three")) {
      assertTrue(result.out().contains(stage), result.out());
    }
    Map<Long, Double> losses = losses(folder);
    assertEquals(TinyRun.STEPS, losses.size());
    assertTrue(losses.get((long) TinyRun.STEPS) < 0.8 * losses.get(1L), losses::toString);
    Path run = folder.resolve("runs/tiny");
    assertTrue(Files.readString(run.resolve("train.log")).contains("saved step 24"));
    Cli.run(folder, "validate", run.resolve("config.yaml").toString()).ok();

    String shown = Cli.run(folder, "inspect", "runs/tiny", "--verify").ok().out();
    assertTrue(shown.contains("24 done, in stage three"), shown);
    shown = Cli.run(folder, "inspect", "runs/tiny/data/web", "--verify").ok().out();
    assertTrue(shown.contains("every byte is good"), shown);

    String[] generate = {
      "generate", "--run", "runs/tiny", "--prompt", "The ", "--max-tokens", "12", "--seed", "3"
    };
    String text = Cli.run(folder, generate).ok().out();
    assertTrue(text.startsWith("The "), text);
    assertEquals(text, Cli.run(folder, generate).ok().out());

    // A finished run is left as it is.
    Cli.run(folder, "train", TinyRun.CONFIG).ok();
    assertEquals(losses, losses(folder));
    String error =
        Cli.run(folder, "train", TinyRun.CONFIG, "--resume", "never").error(ExitCode.USAGE);
    assertTrue(error.contains("runs/tiny"), error);
  }

  @Test
  void aDamagedCheckpointIsNamedAndTheOneBeforeItTaken() throws Exception {
    Cli.run(folder, "train", TinyRun.CONFIG).ok();
    Map<Long, Double> losses = losses(folder);
    flipByte(largestFile(folder.resolve("runs/tiny/checkpoints/step-0000000024")));
    Cli.Result result = Cli.run(folder, "train", TinyRun.CONFIG).ok();
    assertTrue(result.err().contains("warning: ") && result.err().contains("step-0000000024"));
    assertEquals(losses, losses(folder));

    for (long step : store(folder).steps()) {
      flipByte(largestFile(folder.resolve("runs/tiny/checkpoints/step-%010d".formatted(step))));
    }
    String error = Cli.run(folder, "train", TinyRun.CONFIG).error(ExitCode.USAGE);
    assertTrue(error.contains("no checkpoint") && error.contains("is good"), error);
  }

  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void aDiskThatIsFullWhileSavingLosesNothing() throws Exception {
    String[] larger = {
      "train",
      TinyRun.CONFIG,
      "--set",
      "model.hidden_size=192",
      "--set",
      "model.intermediate_size=512"
    };
    List<String> shorter = new ArrayList<>(List.of(larger));
    shorter.addAll(List.of("--set", "stages.2.steps=3", "--set", "schedule.decay_steps=3"));
    Cli.run(folder, shorter.toArray(String[]::new)).ok();
    float[] before = SavedValues.of(store(folder), "master");
    // Files may not grow beyond 4 or 8 MB, as a shell counts in blocks of 512 or 1024 bytes: enough
    // for the native libraries that are unpacked at the start, and less than a checkpoint's shard.
    List<String> limit = List.of("/bin/sh", "-c", "ulimit -f 8192 && exec \"$0\" \"$@\"");
    Process process = Cli.start(folder, limit, larger);
    String error = Cli.await(folder, process).error(ExitCode.STORAGE);
    assertTrue(error.contains("untouched"), error);
    assertArrayEquals(before, SavedValues.of(store(folder), "master"));
    Cli.run(folder, larger).ok();
    assertEquals(TinyRun.STEPS, losses(folder).size());
  }

  private static CheckpointStore store(Path folder) {
    return CheckpointStore.open(folder.resolve("runs/tiny/checkpoints").toString());
  }

  /** Loss by step; a step that is there twice is an error. */
  private static Map<Long, Double> losses(Path folder) throws IOException {
    Map<Long, Double> losses = new TreeMap<>();
    for (JsonNode line : metrics(folder)) {
      Double twice = losses.put(line.get("step").longValue(), line.get("loss").doubleValue());
      assertEquals(null, twice, () -> "step twice: " + line);
    }
    return losses;
  }

  private static List<JsonNode> metrics(Path folder) throws IOException {
    Path file = folder.resolve("runs/tiny/metrics.jsonl");
    if (!Files.exists(file)) {
      return List.of();
    }
    List<JsonNode> lines = new ArrayList<>();
    String text = Files.readString(file);
    // While the run goes on, the last line may be half written.
    for (String line : text.substring(0, text.lastIndexOf('\n') + 1).lines().toList()) {
      lines.add(JSON.readTree(line));
    }
    return lines;
  }

  private void awaitStep(Process process, int step) throws Exception {
    long deadline = System.nanoTime() + 240_000_000_000L;
    while (process.isAlive() && System.nanoTime() < deadline) {
      List<JsonNode> lines = metrics(folder);
      if (!lines.isEmpty() && lines.getLast().get("step").intValue() >= step) {
        return;
      }
      Thread.sleep(5);
    }
    if (process.isAlive()) {
      process.destroyForcibly().waitFor();
    }
    assertEquals(0, process.exitValue(), Files.readString(folder.resolve("stderr")));
  }

  private static Path largestFile(Path checkpoint) throws IOException {
    try (Stream<Path> files = Files.list(checkpoint)) {
      return files
          .max((a, b) -> Long.compare(a.toFile().length(), b.toFile().length()))
          .orElseThrow();
    }
  }

  private static void flipByte(Path path) throws IOException {
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      long place = file.length() * 2 / 3;
      file.seek(place);
      int value = file.read();
      file.seek(place);
      file.write(value ^ 1);
    }
  }
}
