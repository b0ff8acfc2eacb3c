package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.trainer.parallel.faults.FlightRecord;

/** A tiny run in a folder of its own, trained by {@code launch} with two ranks. */
final class SupervisedRun implements AutoCloseable {
  private static final JsonMapper JSON = new JsonMapper();
  private static final List<String> SMALLER =
      List.of(
          "model.num_hidden_layers=1",
          "model.hidden_size=16",
          "model.intermediate_size=32",
          "training.global_batch_tokens=128",
          "training.micro_batch_size=1");
  private static final long PATIENCE_SECONDS = 280;

  private final Path folder;
  private Process launched;

  SupervisedRun(Path folder) throws IOException {
    this.folder = Files.createDirectory(folder);
    TinyRun.write(folder);
  }

  /**
   * Starts it. The model is so small that a JVM that has just started trains it quickly, and does
   * so best with the simple compiler.
   */
  void launch(List<String> options, String... settings) {
    List<String> arguments = new ArrayList<>(List.of("launch", "--ranks", "2"));
    arguments.addAll(options);
    arguments.addAll(List.of("--", "train", TinyRun.CONFIG));
    SMALLER.forEach(setting -> arguments.addAll(List.of("--set", setting)));
    for (String setting : settings) {
      arguments.addAll(List.of("--set", setting));
    }
    List<String> simple = List.of("env", "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1");
    launched = Cli.start(folder, simple, arguments.toArray(String[]::new));
  }

  /** The supervisor. */
  Process process() {
    return launched;
  }

  /** Waits for its end. */
  Cli.Result result() {
    return Cli.await(folder, launched);
  }

  /** Waits while it runs. */
  void await(String what, BooleanSupplier condition) throws InterruptedException {
    long deadline = System.nanoTime() + PATIENCE_SECONDS * 1_000_000_000L;
    while (!condition.getAsBoolean()) {
      boolean patient = launched.isAlive() && System.nanoTime() < deadline;
      assertTrue(patient, () -> "waited for " + what + " in vain:\n" + output());
      Thread.sleep(3);
    }
  }

  String output() {
    try {
      return Files.readString(folder.resolve("stdout"))
          + Files.readString(folder.resolve("stderr"));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** The process of a rank that has joined the others and lives. */
  Optional<ProcessHandle> rank(int rank) {
    try {
      return FlightRecord.read(folder.resolve("runs/tiny/records"), rank)
          .flatMap(record -> ProcessHandle.of(record.pid()))
          .filter(ProcessHandle::isAlive);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** The newest step of the metrics. */
  int lastStep() {
    List<JsonNode> lines = metrics();
    return lines.isEmpty() ? 0 : lines.getLast().get("step").intValue();
  }

  List<JsonNode> metrics() {
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

  /** Loss by step; a step that is there twice is an error. */
  Map<Long, Double> losses() {
    Map<Long, Double> losses = new TreeMap<>();
    for (JsonNode line : metrics()) {
      Double twice = losses.put(line.get("step").longValue(), line.get("loss").doubleValue());
      assertEquals(null, twice, () -> "step twice: " + line);
    }
    return losses;
  }

  CheckpointStore store() {
    return CheckpointStore.open(folder.resolve("runs/tiny/checkpoints").toString());
  }

  /** Whether a checkpoint is being written. */
  boolean isSaving() {
    Path checkpoints = folder.resolve("runs/tiny/checkpoints");
    if (!Files.exists(checkpoints)) {
      return false;
    }
    try (Stream<Path> files = Files.list(checkpoints)) {
      return files.anyMatch(path -> path.getFileName().toString().startsWith(".staging-"));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  Path path(String inRun) {
    return folder.resolve("runs/tiny").resolve(inRun);
  }

  @Override
  public void close() {
    if (launched != null) {
      launched.descendants().forEach(ProcessHandle::destroyForcibly);
      launched.destroyForcibly().onExit().join();
    }
  }
}
