package org.pretrain4j.trainer.run;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;

/** A run of a very small model on generated arithmetic, and what can be asked of it afterwards. */
final class SmallRun {
  private static final String YAML =
      """
      name: small
      run_folder: "%s"
      seed: %d
      model:
        vocab_size: 320
        hidden_size: 32
        intermediate_size: 48
        num_hidden_layers: 2
        num_attention_heads: 4
        num_key_value_heads: 2
        max_position_embeddings: 64
      tokenizer:
        path: ../configs/tokenizers/bytes/tokenizer.json
        end_of_document: "<|end_of_text|>"
      data:
        datasets:
          sums: {synthetic: arithmetic, documents: 200}
          more: {synthetic: arithmetic, documents: 90}
      stages:
        - {name: first, steps: %d, mixture: {sums: 0.9, more: 0.1}}
        - {name: second, steps: %d, mixture: {sums: 0.5, more: 0.5}}
      training: {sequence_length: 64, global_batch_tokens: 512, micro_batch_size: 2, precision: %s}
      optimizer: {learning_rate: 3e-3}
      schedule: {type: wsd, warmup_steps: 2}
      parallelism: {ranks: %d, compute_threads: 1}
      checkpoints: {every_steps: %d, keep_last: 3}
      """;

  private final Path folder;
  private final RunConfig config;

  SmallRun(Path folder, int steps, String precision, int ranks, int everySteps) {
    this(folder, steps, precision, ranks, everySteps, 11);
  }

  SmallRun(Path folder, int steps, String precision, int ranks, int everySteps, long seed) {
    this.folder = folder;
    this.config =
        ConfigurationReader.parse(
            RunConfig.class,
            YAML.formatted(
                folder, seed, steps - steps / 3, steps / 3, precision, ranks, everySteps),
            "the test's configuration");
  }

  private SmallRun(Path folder, RunConfig config) {
    this.folder = folder;
    this.config = config;
  }

  /** Any other run. */
  static SmallRun of(Path folder, RunConfig config) {
    return new SmallRun(folder, config);
  }

  /** The same run with something else in its configuration. */
  SmallRun with(String old, String replacement) {
    String yaml = ConfigurationWriter.toYaml(config);
    if (!yaml.contains(old)) {
      throw new IllegalArgumentException("the configuration has no " + old + ":\n" + yaml);
    }
    return new SmallRun(
        folder,
        ConfigurationReader.parse(
            RunConfig.class,
            yaml.replaceFirst(Pattern.quote(old), Matcher.quoteReplacement(replacement)),
            "the test's configuration"));
  }

  RunConfig config() {
    return config;
  }

  TrainingResult train() {
    return train(Resume.AUTO, metrics -> {});
  }

  TrainingResult train(Resume resume, Consumer<StepMetrics> onStep) {
    return train(resume, new StopRequest(), onStep);
  }

  TrainingResult train(Resume resume, StopRequest stop, Consumer<StepMetrics> onStep) {
    return train(new TrainingOptions(resume, stop), onStep);
  }

  TrainingResult train(TrainingOptions options, Consumer<StepMetrics> onStep) {
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void step(StepMetrics metrics) {
            onStep.accept(metrics);
          }
        };
    return new Trainer(config, options, listener).run();
  }

  CheckpointStore store() {
    return CheckpointStore.open(config.checkpoints().folder().orElseThrow());
  }

  /** Hash of all parameters and moments of the newest checkpoint. */
  String stateHash() {
    Checkpoint checkpoint =
        store()
            .newestGood(
                warning -> {
                  throw new AssertionError(warning);
                })
            .orElseThrow();
    FlatRange all = new FlatRange(0, checkpoint.layout().elements());
    try (Arena arena = Arena.ofShared()) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (String kind : checkpoint.kinds()) {
        MemorySegment values = arena.allocate(all.length() * Float.BYTES);
        checkpoint.read(kind, all, values);
        digest.update(values.asByteBuffer());
      }
      return checkpoint.step() + ":" + HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  /** The metrics, a line a step. */
  List<JsonNode> metrics() {
    ObjectMapper mapper = new ObjectMapper();
    List<JsonNode> lines = new ArrayList<>();
    try {
      for (String line : Files.readAllLines(folder.resolve("metrics.jsonl"))) {
        lines.add(mapper.readTree(line));
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return lines;
  }

  /** Losses of all steps, exactly as logged, after a check that each step is there once. */
  List<Double> losses() {
    List<Double> losses = new ArrayList<>();
    for (JsonNode line : metrics()) {
      losses.add(line.get("loss").doubleValue());
      if (line.get("step").longValue() != losses.size()) {
        throw new AssertionError("line " + losses.size() + " is of step " + line.get("step"));
      }
    }
    return losses;
  }
}
