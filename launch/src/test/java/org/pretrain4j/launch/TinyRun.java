package org.pretrain4j.launch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A run that a JVM trains in a second or two: three stages of a model of a few thousand parameters.
 */
final class TinyRun {
  static final String CONFIG = "tiny.yaml";
  static final int STEPS = 24;

  private TinyRun() {}

  /** Writes configuration and text into a folder. */
  static void write(Path folder) {
    try {
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < 400; i++) {
        text.append("The ")
            .append(i)
            .append("th line is followed by line ")
            .append(i + 1)
            .append('\n');
      }
      Files.writeString(folder.resolve("web.txt"), text);
      Files.writeString(
          folder.resolve(CONFIG),
          """
          name: tiny
          model:
            vocab_size: 288
            hidden_size: 32
            intermediate_size: 64
            num_hidden_layers: 4
            num_attention_heads: 2
            num_key_value_heads: 1
            max_position_embeddings: 64
          tokenizer: {path: "%s", end_of_document: "<|end_of_text|>"}
          data:
            datasets:
              web: {text: [web.txt]}
              math: {synthetic: arithmetic, documents: 200}
          stages:
            - {name: one, steps: 10, mixture: {web: 0.9, math: 0.1}}
            - {name: two, steps: 8, mixture: {web: 0.5, math: 0.5}}
            - {name: three, steps: 6, mixture: {web: 0.2, math: 0.8}}
          training: {sequence_length: 64, global_batch_tokens: 512, micro_batch_size: 4}
          optimizer: {learning_rate: 3e-3}
          schedule: {warmup_steps: 4, decay_start_step: 18, decay_steps: 6}
          checkpoints: {every_steps: 4}
          """
              .formatted(Cli.TOKENIZER));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
