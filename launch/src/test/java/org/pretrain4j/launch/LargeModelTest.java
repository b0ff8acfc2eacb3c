package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.CheckpointState;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.checkpoints.StagedCheckpoint;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.run.RunConfig;

/**
 * Exports and merges need little memory: heap, direct memory and that of libtorch together stay
 * below twice the largest tensor in fp32, beyond what the same command takes for a tiny model. The
 * heap may have half of that and direct memory an eighth; all of it is what is resident. The
 * largest tensor of the 3B takes 1.05 GB. The test has a model of fewer layers and a smaller table;
 * {@code -Dpretrain4j.large=3b} makes it the 3B's shape, with 2 GB and some 55 GB of disk in {@code
 * -Dpretrain4j.large.folder}.
 */
@Tag("slow")
class LargeModelTest {
  private static final boolean FULL = "3b".equals(System.getProperty("pretrain4j.large"));
  private static final int RANKS = 4;

  @TempDir Path temporary;

  private final Path folder =
      Path.of(System.getProperty("pretrain4j.large.folder", "target/large-model")).toAbsolutePath();

  private static final String TINY_MODEL =
      "{vocab_size: 320, hidden_size: 64, intermediate_size: 96, num_hidden_layers: 4,"
          + " num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 64}";

  private static String model() {
    return FULL
        ? "{vocab_size: 128256, hidden_size: 2048, intermediate_size: 11008, num_hidden_layers: 36,"
            + " num_attention_heads: 16, num_key_value_heads: 4, max_position_embeddings: 4096}"
        : "{vocab_size: 32768, hidden_size: 640, intermediate_size: 2048, num_hidden_layers: 4,"
            + " num_attention_heads: 10, num_key_value_heads: 2, max_position_embeddings: 4096}";
  }

  private static RunConfig config(Path folder, String model) {
    return ConfigurationReader.parse(
        RunConfig.class,
        """
        name: large
        run_folder: "%s"
        model: %s
        tokenizer: {path: "%s", end_of_document: "<|end_of_text|>"}
        data: {datasets: {math: {synthetic: arithmetic, documents: 10}}}
        stages: [{name: one, steps: 1, mixture: {math: 1}}]
        training: {sequence_length: 64, global_batch_tokens: 64, micro_batch_size: 1}
        optimizer: {learning_rate: 1e-3}
        schedule: {warmup_steps: 0}
        checkpoints: {every_steps: 1}
        """
            .formatted(folder.resolve("run"), model, Cli.TOKENIZER),
        "the test's configuration");
  }

  /** Weights alone; a 16th of each matrix is random, the rest is zero. */
  private static void writeCheckpoint(Path folder, RunConfig config) throws IOException {
    FlatLayout layout = ModelLayout.of(config.model()).parameters();
    Path scratch = folder.resolve("weights");
    try (FileChannel file =
            FileChannel.open(
                scratch,
                StandardOpenOption.CREATE,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE,
                StandardOpenOption.SPARSE);
        Arena arena = Arena.ofShared()) {
      MemorySegment weights =
          file.map(FileChannel.MapMode.READ_WRITE, 0, layout.elements() * Float.BYTES, arena);
      SplittableRandom random = new SplittableRandom(7);
      for (FlatLayout.Entry entry : layout.entries()) {
        boolean vector = entry.shape().size() == 1;
        for (long i = 0; i < entry.elements(); i++) {
          if (vector) {
            weights.setAtIndex(ValueLayout.JAVA_FLOAT, entry.offset() + i, 1);
          } else if (i % 16_384 < 1024) {
            float value = (float) (0.1 * (random.nextDouble() - 0.5));
            weights.setAtIndex(ValueLayout.JAVA_FLOAT, entry.offset() + i, value);
          } else {
            i += 16_384 - i % 16_384 - 1;
          }
        }
      }
      CheckpointStore store = CheckpointStore.open(config.checkpoints().folder().orElseThrow());
      StagedCheckpoint staged = store.stage(1, "random");
      long each = Math.ceilDiv(layout.elements(), (long) RANKS);
      for (int rank = 0; rank < RANKS; rank++) {
        FlatRange range =
            new FlatRange(rank * each, Math.min(layout.elements(), (rank + 1) * each));
        staged.writeShard(
            rank,
            RANKS,
            layout,
            List.of(range),
            Map.of(
                "master",
                weights.asSlice(range.start() * Float.BYTES, range.length() * Float.BYTES)));
      }
      staged.publish(
          RANKS,
          CheckpointState.builder(1).configuration(ConfigurationWriter.toYaml(config)).build());
    } finally {
      Files.delete(scratch);
    }
  }

  private static long bound(ModelConfig model) {
    long table = (long) model.vocabSize() * model.hiddenSize() * Float.BYTES;
    return FULL ? 2_000_000_000L : 2 * table;
  }

  /** Returns the most that was resident, in bytes. */
  private long run(long bound, String... arguments) throws Exception {
    List<String> options = List.of("-Xmx" + bound / 2, "-XX:MaxDirectMemorySize=" + bound / 8);
    long start = System.nanoTime();
    Process process = Cli.start(temporary, List.of(), options, arguments);
    long peak = 0;
    Path status = Path.of("/proc", Long.toString(process.pid()), "status");
    while (process.isAlive()) {
      try {
        for (String line : Files.readAllLines(status)) {
          if (line.startsWith("VmHWM:")) {
            peak = Math.max(peak, 1024 * Long.parseLong(line.replaceAll("\\D", "")));
          }
        }
      } catch (IOException ended) {
        break;
      }
      Thread.sleep(50);
    }
    Cli.Result result = Cli.await(temporary, process).ok();
    System.out.printf(
        Locale.ROOT,
        "%s: %.1f s, resident at most %.2f GB, of which heap and direct memory may be %.2f GB%n%s",
        String.join(" ", arguments),
        (System.nanoTime() - start) * 1e-9,
        peak / 1e9,
        bound * 5 / 8 / 1e9,
        result.out());
    return peak;
  }

  private record Peaks(long huggingFace, long gguf, long mergedCheckpoint, long merged) {}

  /**
   * Exports and merges a model of these sizes, within the same limits of heap and direct memory.
   */
  private Peaks peaks(Path folder, RunConfig config, long bound) throws Exception {
    String run = folder.resolve("run").toString();
    Path exported = folder.resolve("hf");
    Path gguf = folder.resolve("model.gguf");
    Path merged = folder.resolve("merged");
    Path mergedRun = folder.resolve("merged-run");
    try {
      Files.createDirectories(folder);
      writeCheckpoint(folder, config);
      long mergedCheckpoint =
          run(bound, "merge", soup(run).toString(), "--output", mergedRun.toString());
      assertTrue(size(mergedRun) > 3 * Float.BYTES * config.model().parameterCount());
      delete(mergedRun);
      long huggingFace = run(bound, "export", "hf", run, exported.toString());
      delete(Path.of(run));
      String soup = soup(exported.toString()).toString();
      long toGguf = run(bound, "export", "gguf", exported.toString(), gguf.toString());
      long expected = 2 * config.model().parameterCount();
      assertTrue(Files.size(gguf) > expected, Files.size(gguf) + " bytes");
      delete(gguf);
      long toMerged = run(bound, "merge", soup, "--output", merged.toString());
      assertEquals(size(exported), size(merged));
      return new Peaks(huggingFace, toGguf, mergedCheckpoint, toMerged);
    } finally {
      delete(folder);
    }
  }

  private Path soup(String model) throws IOException {
    return Files.writeString(
        temporary.resolve("recipe.yaml"),
        "models: [{path: \"%1$s\", weight: 0.9}, {path: \"%1$s\", weight: 0.1}]".formatted(model));
  }

  private static void assertBelow(long bound, long baseline, long peak, String what) {
    assertTrue(
        peak < baseline + bound,
        "%s: %d bytes were resident, %d for a tiny model, and %d are allowed on top"
            .formatted(what, peak, baseline, bound));
  }

  @Test
  void exportsAndMergesStayBelowTwiceTheLargestTensor() throws Exception {
    RunConfig config = config(folder, model());
    System.out.printf(Locale.ROOT, "%,d parameters%n", config.model().parameterCount());
    long bound = bound(config.model());
    Path tiny = temporary.resolve("tiny");
    Peaks baseline = peaks(tiny, config(tiny, TINY_MODEL), bound);
    Peaks peaks = peaks(folder, config, bound);
    assertBelow(bound, baseline.huggingFace(), peaks.huggingFace(), "export hf");
    assertBelow(bound, baseline.gguf(), peaks.gguf(), "export gguf");
    assertBelow(bound, baseline.mergedCheckpoint(), peaks.mergedCheckpoint(), "merge of runs");
    assertBelow(bound, baseline.merged(), peaks.merged(), "merge");
  }

  private static long size(Path folder) throws IOException {
    try (var files = Files.walk(folder)) {
      return files.mapToLong(path -> path.toFile().isFile() ? path.toFile().length() : 0).sum();
    }
  }

  private static void delete(Path path) throws IOException {
    if (Files.exists(path)) {
      try (var files = Files.walk(path)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }
}
