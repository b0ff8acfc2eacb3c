package org.pretrain4j.trainer.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.trainer.reference.ReferenceModel.Config;

class ReferenceModelTest {
  private static final int[] TOKENS = {1, 4, 9, 2, 0, 10, 4, 4, 7};
  private static final int[] TARGETS = {4, 9, ReferenceModel.MASKED, 0, 10, 4, 4, 7, 3};
  private static final int[] DOCUMENT_STARTS = {3, 4};
  private static final int[] ONE_DOCUMENT = {};

  private static Config config(int layers, int kvHeads, int interval, boolean tied) {
    return new Config(11, 6, 10, layers, 4, kvHeads, 4, 50, interval, 1e-6, tied);
  }

  @ParameterizedTest
  @CsvSource({"4, 2, 4, true", "2, 4, 0, false", "2, 1, 2, true"})
  void gradientsEqualCentralDifferences(int layers, int kvHeads, int interval, boolean tied) {
    long seed = 20_211;
    System.out.println("seed " + seed);
    Config config = config(layers, kvHeads, interval, tied);
    Map<String, double[]> parameters =
        ReferenceModel.randomParameters(config, new Random(seed), 0.4);
    ReferenceModel model = new ReferenceModel(config, parameters);
    var result = model.lossAndGradients(TOKENS, TARGETS, DOCUMENT_STARTS);
    assertEquals(result.loss(), model.loss(TOKENS, TARGETS, DOCUMENT_STARTS));
    assertEquals(config.parameterSizes().keySet(), result.gradients().keySet());
    double step = 1e-5;
    parameters.forEach(
        (name, values) -> {
          double[] expected = new double[values.length];
          for (int i = 0; i < values.length; i++) {
            double value = values[i];
            values[i] = value + step;
            double above = model.loss(TOKENS, TARGETS, DOCUMENT_STARTS);
            values[i] = value - step;
            double below = model.loss(TOKENS, TARGETS, DOCUMENT_STARTS);
            values[i] = value;
            expected[i] = (above - below) / (2 * step);
          }
          assertTrue(Arrays.stream(expected).anyMatch(g -> Math.abs(g) > 1e-4), name);
          assertArrayEquals(expected, result.gradients().get(name), 1e-8, name);
        });
  }

  /** The numbers come from SmolLM3ForCausalLM of transformers 5.18; its norms are in float32. */
  @Test
  void agreesWithHuggingFace() {
    Config config = new Config(11, 16, 10, 4, 4, 2, 4, 50, 4, 1e-6, true);
    Map<String, double[]> parameters = new LinkedHashMap<>();
    long index = 0;
    for (Map.Entry<String, Integer> entry : config.parameterSizes().entrySet()) {
      double mean = entry.getKey().endsWith("norm.weight") ? 1 : 0;
      double[] values = new double[entry.getValue()];
      for (int i = 0; i < values.length; i++, index++) {
        values[i] = mean + 0.4 * Math.sin(1 + index * index * 0.013);
      }
      parameters.put(entry.getKey(), values);
    }
    ReferenceModel model = new ReferenceModel(config, parameters);
    double[] expectedLogits = {
      0.7108872251632795, 0.09315732322036227, -0.5421521275919143, 0.9127522571566468,
      0.15505767219166003, -0.6412180471595204, -1.9472860223815545, -0.3330587783257072,
      1.125877927934599, 1.363993007643436, -0.6659050273264461
    };
    assertArrayEquals(expectedLogits, last(model, TOKENS), 1e-6);
    var result = model.lossAndGradients(TOKENS, TARGETS, ONE_DOCUMENT);
    assertEquals(2.8339768747757095, result.loss(), 1e-6);
    Map<String, double[]> elementFiveAndNorm =
        Map.of(
            "model.embed_tokens.weight", new double[] {-0.07717268548763734, 3.6319846131399802},
            "model.layers.0.self_attn.q_proj.weight",
                new double[] {0.018398929191964317, 1.2375532667569231},
            "model.layers.1.self_attn.k_proj.weight",
                new double[] {0.07579176824935754, 1.0708006224853042},
            "model.layers.3.self_attn.q_proj.weight",
                new double[] {-0.011387134520326915, 0.11132793020267429},
            "model.layers.2.mlp.gate_proj.weight",
                new double[] {0.005189955510327337, 0.5869819109051598},
            "model.norm.weight", new double[] {0.030249376260854003, 0.46315345196523755});
    elementFiveAndNorm.forEach(
        (name, expected) -> {
          double[] gradient = result.gradients().get(name);
          double norm = Math.sqrt(Arrays.stream(gradient).map(g -> g * g).sum());
          assertArrayEquals(expected, new double[] {gradient[5], norm}, 2e-6, name);
        });
  }

  @Test
  void withoutLayersTheLogitsAreNormedEmbeddingsTimesTheHead() {
    Config config = new Config(2, 2, 1, 0, 1, 1, 2, 50, 0, 0, false);
    ReferenceModel model =
        new ReferenceModel(
            config,
            Map.of(
                "model.embed_tokens.weight", new double[] {3, 4, 0, 0},
                "model.norm.weight", new double[] {1, 2},
                "lm_head.weight", new double[] {1, 0, 1, 1}));
    double rms = Math.sqrt(12.5);
    double[] logits = model.logits(new int[] {0}, ONE_DOCUMENT);
    assertArrayEquals(new double[] {3 / rms, 11 / rms}, logits, 1e-15);
    double loss = model.loss(new int[] {0}, new int[] {0}, ONE_DOCUMENT);
    assertEquals(Math.log(1 + Math.exp(8 / rms)), loss, 1e-14);
  }

  @Test
  void anEarlierDocumentDoesNotChangeALaterOneAndRotationIsRelative() {
    Config config = config(4, 2, 4, true);
    ReferenceModel model = random(config, 7);
    double[] packed = model.logits(TOKENS, DOCUMENT_STARTS);
    double[] alone = model.logits(Arrays.copyOfRange(TOKENS, 4, TOKENS.length), ONE_DOCUMENT);
    double[] tail = Arrays.copyOfRange(packed, 4 * config.vocabSize(), packed.length);
    assertArrayEquals(alone, tail, 1e-12);
    double[] joined = model.logits(TOKENS, ONE_DOCUMENT);
    assertNotEquals(packed[packed.length - 1], joined[joined.length - 1], 1e-6);
  }

  @Test
  void aLaterTokenDoesNotChangeAnEarlierOne() {
    Config config = config(4, 2, 4, true);
    ReferenceModel model = random(config, 8);
    int[] changed = TOKENS.clone();
    changed[6] = 0;
    int before = 6 * config.vocabSize();
    assertArrayEquals(
        Arrays.copyOf(model.logits(TOKENS, ONE_DOCUMENT), before),
        Arrays.copyOf(model.logits(changed, ONE_DOCUMENT), before));
  }

  @Test
  void orderOfContextMattersOnlyToLayersThatRotate() {
    int[] swapped = TOKENS.clone();
    swapped[1] = TOKENS[2];
    swapped[2] = TOKENS[1];
    double[] blind = last(random(config(1, 2, 1, true), 9), TOKENS);
    assertArrayEquals(blind, last(random(config(1, 2, 1, true), 9), swapped), 1e-12);
    double[] rotating = last(random(config(1, 2, 0, true), 9), TOKENS);
    assertNotEquals(rotating[0], last(random(config(1, 2, 0, true), 9), swapped)[0], 1e-6);
  }

  @Test
  void groupedQueriesEqualRepeatedKeysAndValues() {
    Config grouped = config(2, 2, 0, true);
    Map<String, double[]> parameters =
        ReferenceModel.randomParameters(grouped, new Random(10), 0.4);
    Map<String, double[]> repeated = new LinkedHashMap<>(parameters);
    int block = grouped.headDim() * grouped.hiddenSize();
    parameters.forEach(
        (name, values) -> {
          if (name.contains("k_proj") || name.contains("v_proj")) {
            double[] all = new double[4 * block];
            for (int head = 0; head < 4; head++) {
              System.arraycopy(values, head / 2 * block, all, head * block, block);
            }
            repeated.put(name, all);
          }
        });
    assertArrayEquals(
        new ReferenceModel(config(2, 4, 0, true), repeated).logits(TOKENS, ONE_DOCUMENT),
        new ReferenceModel(grouped, parameters).logits(TOKENS, ONE_DOCUMENT),
        1e-12);
  }

  private static ReferenceModel random(Config config, long seed) {
    return new ReferenceModel(
        config, ReferenceModel.randomParameters(config, new Random(seed), 0.4));
  }

  private static double[] last(ReferenceModel model, int[] tokens) {
    double[] logits = model.logits(tokens, ONE_DOCUMENT);
    return Arrays.copyOfRange(logits, logits.length - 11, logits.length);
  }
}
