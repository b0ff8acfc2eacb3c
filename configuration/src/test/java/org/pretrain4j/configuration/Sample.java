package org.pretrain4j.configuration;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Records with every type that a key may have. */
final class Sample {
  private Sample() {}

  enum Shape {
    LINEAR,
    HALF_COSINE,
    @Spelled("1-sqrt")
    ONE_MINUS_SQRT
  }

  record Run(
      @Key("Name") String name,
      @Key("Seed") @Default("6") long seed,
      @Key("Step") Step step,
      @Key("Optional section") @Default("{}") Extra extra,
      @Key("Parts") @Default("[]") List<Part> parts,
      @Key("Weights") @Default("{}") Map<String, Double> weights,
      @Key("Folder") Optional<String> folder) {
    Run {
      Checks checks = new Checks();
      checks.folderName("name", name).present("step", step);
      for (int i = 0; i < parts.size(); i++) {
        for (String source : parts.get(i).sources()) {
          checks.require(
              weights.containsKey(source),
              List.of("parts[" + i + "].sources", "weights"),
              "names " + source + ", which has no weight");
        }
      }
      checks.throwIfAny();
    }
  }

  record Step(
      @Key("Tokens") long tokens,
      @Key("Length") int length,
      @Key("Rate") double rate,
      @Key("Shape") @Default("linear") Shape shape,
      @Key("Masking") @Default("true") boolean masking) {
    Step {
      Checks checks = new Checks();
      checks.positive("tokens", tokens).positive("length", length).positive("rate", rate);
      checks.together(
          List.of("tokens", "length"), () -> tokens % length == 0, tokens, "a multiple of length");
      checks.throwIfAny();
    }
  }

  record Extra(
      @Key("Keep") @Default("3") int keep,
      @Key("Limit") Optional<Long> limit,
      @Key("Patterns") @Default("[\".*x.*\"]") List<String> patterns) {}

  record Part(@Key("Name") String name, @Key("Sources") @Default("[]") List<String> sources) {}
}
