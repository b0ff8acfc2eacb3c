package org.pretrain4j.launch.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.trainer.parallel.RankThreads;
import org.pretrain4j.trainer.parallel.backend.Backend;
import org.pretrain4j.trainer.run.Resume;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.run.StepMetrics;
import org.pretrain4j.trainer.run.StopRequest;
import org.pretrain4j.trainer.run.Trainer;
import org.pretrain4j.trainer.run.TrainingListener;
import org.pretrain4j.trainer.run.TrainingOptions;

/**
 * The planned memory of a run against what the trainer allocates for it on the CPU.
 *
 * <p>Measured is the growth of what glibc's malloc has given out in this process from before the
 * run until the peak of a step: everything native of all ranks, not the Java heap. Of several steps
 * the one with the lowest peak counts, and of what was there before the least in half a second, as
 * what the JVM's compilers take now and then is not the run's.
 */
@Tag("slow")
final class MeasuredMemoryTest {
  /** So many that the compilers leave one of them alone, also where cores are scarce. */
  private static final int STEPS = 10;

  private static final double TOLERANCE = 0.05;

  private static final String YAML =
      """
      name: measured
      run_folder: "%s"
      model:
        vocab_size: %d
        hidden_size: 512
        intermediate_size: 1536
        num_hidden_layers: 6
        num_attention_heads: 8
        num_key_value_heads: 4
        max_position_embeddings: 512
      tokenizer:
        path: ../configs/tokenizers/bytes/tokenizer.json
        end_of_document: "<|end_of_text|>"
      data: {datasets: {sums: {synthetic: arithmetic, documents: 2000}}}
      stages: [{name: only, steps: %d, mixture: {sums: 1}}]
      training:
        {sequence_length: 256, global_batch_tokens: %d, micro_batch_size: %d, precision: %s,
         kernels: %s, activation_checkpointing: %s, intra_document_masking: false}
      optimizer: {learning_rate: 1e-4}
      schedule: {warmup_steps: 1}
      parallelism: {ranks: %d, compute_threads: 1, bucket_elements: 1M, gradient_sharding: %s}
      checkpoints: {every_steps: 100}
      """;

  @TempDir private Path temp;

  private RunConfig config(
      String kernels,
      String precision,
      int ranks,
      int rows,
      int microBatch,
      String sharding,
      String checkpointing,
      int vocabulary) {
    return ConfigurationReader.parse(
        RunConfig.class,
        YAML.formatted(
            temp,
            vocabulary,
            STEPS,
            256 * rows,
            microBatch,
            precision,
            kernels,
            checkpointing,
            ranks,
            sharding),
        "the test's configuration");
  }

  /** Loads the libraries, whose own memory is not a run's. */
  @BeforeAll
  static void loadLibraries(@TempDir Path folder) {
    RunConfig small =
        ConfigurationReader.parse(
            RunConfig.class,
            YAML.formatted(folder, 8192, 2, 512, 1, "bf16", "fused", "none", 1, "full")
                .replace("num_hidden_layers: 6", "num_hidden_layers: 1"),
            "the first configuration");
    peakOf(small);
  }

  private static long peakOf(RunConfig config) {
    List<Long> peaks = new ArrayList<>();
    long before = NativeMemory.leastBytes();
    try (NativeMemory memory = new NativeMemory()) {
      TrainingListener listener =
          new TrainingListener() {
            @Override
            public void step(StepMetrics metrics) {
              peaks.add(memory.takePeak());
            }
          };
      run(config, listener);
    }
    // What a compiler held all through the first look, it has mostly given back by the second.
    long least = Math.min(before, NativeMemory.leastBytes());
    // The first step's peak is from before it, too.
    return Collections.min(peaks.subList(1, peaks.size())) - least;
  }

  /** As threads of one process, or as processes, which are threads here, too. */
  private static void run(RunConfig config, TrainingListener listener) {
    TrainingOptions options = new TrainingOptions(Resume.AUTO, new StopRequest());
    if (config.parallelism().collectives() != Backend.TCP) {
      new Trainer(config, options, listener).run();
      return;
    }
    int ranks = config.parallelism().ranks();
    try {
      String port = freePort();
      RankThreads.run(
          0,
          ranks,
          () -> {},
          rank ->
              new Trainer(
                      config,
                      options,
                      listener,
                      Map.of(
                          "RANK",
                          Integer.toString(rank),
                          "WORLD_SIZE",
                          Integer.toString(ranks),
                          "MASTER_ADDR",
                          "127.0.0.1",
                          "MASTER_PORT",
                          port))
                  .run());
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private static String freePort() throws IOException {
    try (ServerSocket free = new ServerSocket(0)) {
      return Integer.toString(free.getLocalPort());
    }
  }

  /**
   * With more layers than the others: frames that arrive early and what the libraries keep for
   * themselves, some 10 MB of a rank at any size, would weigh too much.
   */
  @Test
  void processesAlsoTakeWhatTheyReceiveTheGradientsOfOthersIn() {
    RunConfig threads = config("fused", "bf16", 2, 2, 1, "full", "none", 8192);
    String yaml =
        ConfigurationWriter.toYaml(threads)
            .replace("num_hidden_layers: 6", "num_hidden_layers: 16")
            .replace("bucket_elements: 1000000", "bucket_elements: 16000000")
            .replace("collectives: \"auto\"", "collectives: \"tcp\"");
    RunConfig config = ConfigurationReader.parse(RunConfig.class, yaml, "with tcp");
    MemoryPlan plan = MemoryPlan.of(config.model(), config.training(), config.parallelism(), 2);
    assertTrue(plan.communication() > 0.06 * plan.totalBytes(), "too little to be missed: " + plan);
    assertPlanned("fused bf16, 2 processes", 2, plan, config);
  }

  private RunConfig inFolder(RunConfig config, Path folder) {
    String yaml = ConfigurationWriter.toYaml(config);
    String moved = yaml.replace("\"" + temp + "\"", "\"" + folder + "\"");
    assertNotEquals(yaml, moved);
    return ConfigurationReader.parse(RunConfig.class, moved, "in a folder of its own");
  }

  /**
   * What compilers hold moves by some MB from one time to the next; a wrong plan is wrong always.
   */
  private void assertPlanned(String what, long ranks, MemoryPlan plan, RunConfig config) {
    long planned = ranks * plan.totalBytes();
    long measured = 0;
    for (int time = 0; time < 3; time++) {
      measured = peakOf(inFolder(config, temp.resolve("time-" + time)));
      System.out.println(
          String.format(
              Locale.ROOT,
              "%s: planned %,d bytes (%s), measured %,d, ratio %.4f",
              what,
              planned,
              plan,
              measured,
              (double) measured / planned));
      if (Math.abs(measured - planned) <= TOLERANCE * measured) {
        return;
      }
    }
    assertEquals(measured, planned, TOLERANCE * measured);
  }

  @ParameterizedTest
  @CsvSource({
    "fused, bf16, 1, 4, 4, full, none, 8192",
    "fused, bf16, 1, 4, 4, full, selected, 8192",
    "fused, bf16, 1, 4, 4, full, full, 8192",
    "fused, fp32, 1, 6, 4, full, none, 8192",
    "fused, bf16, 2, 8, 4, full, none, 8192",
    "fused, bf16, 4, 8, 2, sharded, none, 8192",
    "composed, bf16, 1, 4, 4, full, none, 8192",
    "composed, bf16, 1, 4, 4, full, selected, 512",
    "composed, bf16, 1, 4, 4, full, full, 512",
    "composed, fp32, 1, 4, 4, full, none, 8192"
  })
  void theTrainerTakesWhatWasPlanned(
      String kernels,
      String precision,
      int ranks,
      int rows,
      int microBatch,
      String sharding,
      String checkpointing,
      int vocabulary) {
    RunConfig config =
        config(kernels, precision, ranks, rows, microBatch, sharding, checkpointing, vocabulary);
    MemoryPlan plan = MemoryPlan.of(config.model(), config.training(), config.parallelism(), ranks);
    assertPlanned(
        "%s %s, %d ranks, checkpointing %s".formatted(kernels, precision, ranks, checkpointing),
        ranks,
        plan,
        config);
  }
}
