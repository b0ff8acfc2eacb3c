package org.pretrain4j.configuration;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ConfigurationWriterTest {
  private static final Sample.Step STEP =
      new Sample.Step(8192, 128, 2e-4, Sample.Shape.ONE_MINUS_SQRT, false);

  @Test
  void allKeysAreWrittenDefaultsIncluded() {
    Sample.Run run =
        new Sample.Run(
            "a",
            6,
            STEP,
            new Sample.Extra(3, Optional.empty(), List.of(".*x.*")),
            List.of(new Sample.Part("one", List.of("web"))),
            Map.of("web", 1e-8),
            Optional.of("runs/a"));
    assertEquals(
        """
        name: "a"
        seed: 6
        step:
          tokens: 8192
          length: 128
          rate: 0.0002
          shape: "1-sqrt"
          masking: false
        extra:
          keep: 3
          limit: null
          patterns:
            - ".*x.*"
        parts:
          - name: "one"
            sources:
              - "web"
        weights:
          web: 1E-8
        folder: "runs/a"
        """,
        ConfigurationWriter.toYaml(run));
  }

  @Test
  void whatIsWrittenReadsBackEqualWhateverTheTextsAndNumbers() {
    long seed = 20260101;
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < 300; i++) {
      Map<String, Double> weights = new LinkedHashMap<>();
      for (int k = random.nextInt(4); k > 0; k--) {
        weights.put(text(random), Double.longBitsToDouble(random.nextLong() & ~(3L << 61)));
      }
      Sample.Run run =
          new Sample.Run(
              "run-" + i,
              random.nextLong(),
              new Sample.Step(
                  random.nextInt(1, 1000) * 7L,
                  7,
                  Math.exp(random.nextDouble(-700, 700)),
                  Sample.Shape.values()[random.nextInt(3)],
                  random.nextBoolean()),
              new Sample.Extra(
                  random.nextInt(),
                  random.nextBoolean() ? Optional.of(random.nextLong()) : Optional.empty(),
                  List.of(text(random), text(random))),
              List.of(),
              weights,
              random.nextBoolean() ? Optional.of(text(random)) : Optional.empty());
      String yaml = ConfigurationWriter.toYaml(run);
      assertEquals(
          run,
          ConfigurationReader.parse(Sample.Run.class, yaml, "written"),
          () -> "seed " + seed + ":\n" + yaml);
    }
  }

  private static String text(SplittableRandom random) {
    String alphabet = "ab 01.:-#'\"{}[],&*!|>%@\\\n\t\u00e4\u4e2d~=?<\u0000\u0007\u2028";
    List<String> words =
        List.of("null", "true", "yes", "~", "", "1e5", "010", "- a", "a: b", "<<", "\ud83d\ude00");
    if (random.nextInt(3) == 0) {
      return words.get(random.nextInt(words.size()));
    }
    StringBuilder text = new StringBuilder();
    for (int k = random.nextInt(200); k >= 0; k--) {
      text.append(alphabet.charAt(random.nextInt(alphabet.length())));
    }
    return text.toString();
  }
}
