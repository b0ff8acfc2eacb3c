package org.pretrain4j.trainer.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelFlops;

/**
 * A model and a micro-batch to measure.
 *
 * @param name what the user asks for
 * @param description one line
 * @param model sizes
 * @param rows rows of a micro-batch
 * @param sequenceLength tokens of a row
 * @param documentTokens length of the documents that a row is packed with; the last one may be
 *     shorter
 * @param withOptimizer whether a step ends with the optimizer's update; otherwise it is forward and
 *     backward alone
 * @param microBatches of a step, all alike; a run on GPUs takes several for an update
 */
public record Shape(
    String name,
    String description,
    ModelConfig model,
    int rows,
    int sequenceLength,
    int documentTokens,
    boolean withOptimizer,
    int microBatches) {

  /** How the operations of a token are counted. */
  public static final String FORMULA =
      ModelFlops.FORMULA
          + "; in packed shapes, sequence is the length of a token's document, the mean over tokens";

  /** All shapes, the defaults first. */
  public static final List<Shape> ALL =
      List.of(
          new Shape(
              "layer-3b",
              "one layer of SmolLM3-3B, 1 x 2048 tokens, forward and backward, no head to speak of",
              smolLm3(128, 2048, 11_008, 1, 16, 4),
              1,
              2048,
              2048,
              false,
              1),
          new Shape(
              "135m-6-layers",
              "six layers of the 135M with its head of 49,152, 2 x 1024 tokens, forward and backward",
              smolLm3(49_152, 576, 1536, 6, 9, 3),
              2,
              1024,
              1024,
              false,
              1),
          new Shape(
              "135m",
              "the whole 135M, 1 x 2048 tokens, with the optimizer",
              smolLm3(49_152, 576, 1536, 30, 9, 3),
              1,
              2048,
              2048,
              true,
              1),
          new Shape(
              "135m-6-layers-long",
              "the same cut, 1 x 4096 tokens of one document",
              smolLm3(49_152, 576, 1536, 6, 9, 3),
              1,
              4096,
              4096,
              false,
              1),
          new Shape(
              "135m-6-layers-packed",
              "the same cut, 1 x 4096 tokens of documents of 500",
              smolLm3(49_152, 576, 1536, 6, 9, 3),
              1,
              4096,
              500,
              false,
              1),
          new Shape(
              "135m-4096",
              "the whole 135M, 8 x 4096 tokens, with the optimizer; for GPUs",
              smolLm3(49_152, 576, 1536, 30, 9, 3),
              8,
              4096,
              4096,
              true,
              1),
          new Shape(
              "3b-4096",
              "the whole SmolLM3-3B, 4 x 1 x 4096 tokens, with the optimizer; for GPUs of 80 GB",
              smolLm3(128_256, 2048, 11_008, 36, 16, 4),
              1,
              4096,
              4096,
              true,
              4),
          new Shape(
              "1b-4096",
              "a 1B (hidden 2048, 16 layers), 4 x 1 x 4096 tokens, with the optimizer; for GPUs",
              smolLm3(128_256, 2048, 8192, 16, 32, 8),
              1,
              4096,
              4096,
              true,
              4),
          new Shape(
              "3b-2-layers",
              "two layers of the 3B with its head of 128,256, 1 x 1024 tokens of documents of 500",
              smolLm3(128_256, 2048, 11_008, 2, 16, 4),
              1,
              1024,
              500,
              false,
              1),
          new Shape(
              "tiny",
              "a model of a minute, 4 x 256 tokens, with the optimizer",
              smolLm3(320, 128, 384, 4, 4, 2),
              4,
              256,
              256,
              true,
              1));

  /**
   * The shape of a name.
   *
   * @throws UserException if there is none
   */
  public static Shape named(String name) {
    return ALL.stream()
        .filter(shape -> shape.name.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new UserException(
                    "there is no shape "
                        + name
                        + "; choose one of "
                        + String.join(", ", ALL.stream().map(Shape::name).toList())));
  }

  /** Tokens of a micro-batch. */
  public long tokens() {
    return (long) rows * sequenceLength;
  }

  /** Tokens of all micro-batches of a step. */
  public long tokensOfStep() {
    return tokens() * microBatches;
  }

  /**
   * Length of a token's document, the mean over all tokens: attention over it is what a step can't
   * skip.
   */
  double meanDocumentTokens() {
    int whole = sequenceLength / documentTokens;
    double rest = sequenceLength % documentTokens;
    return (whole * (double) documentTokens * documentTokens + rest * rest) / sequenceLength;
  }

  /** Operations of a token, forward and backward; attention that is skipped is not counted. */
  double flopsPerToken() {
    return ModelFlops.perToken(model, meanDocumentTokens());
  }

  /** A micro-batch of random tokens. */
  MicroBatch randomBatch(long seed) {
    Random random = new Random(seed);
    int[][] inputs = new int[rows][];
    int[][] targets = new int[rows][];
    List<int[]> starts = new ArrayList<>();
    for (int row = 0; row < rows; row++) {
      int[] tokens = random.ints(sequenceLength + 1, 0, model.vocabSize()).toArray();
      inputs[row] = Arrays.copyOf(tokens, sequenceLength);
      targets[row] = Arrays.copyOfRange(tokens, 1, tokens.length);
      int[] documents =
          IntStream.iterate(documentTokens, at -> at < sequenceLength, at -> at + documentTokens)
              .toArray();
      for (int start : documents) {
        targets[row][start - 1] = MicroBatch.MASKED;
      }
      starts.add(documents);
    }
    return new MicroBatch(inputs, targets, starts);
  }

  private static ModelConfig smolLm3(
      int vocabulary, int hidden, int ffn, int layers, int heads, int keyValueHeads) {
    return new ModelConfig(
        vocabulary,
        hidden,
        ffn,
        layers,
        heads,
        keyValueHeads,
        0,
        50_000,
        4,
        1e-6,
        0.02,
        8192,
        true);
  }
}
