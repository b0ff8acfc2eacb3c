package org.pretrain4j.trainer.run;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Key;

/** A part of the run with its own mixture of datasets. Its length is given in steps or tokens. */
public record StageConfig(
    @Key("Name of the stage, unique in the run") String name,
    @Key("Length in steps; give either this or tokens") Optional<Long> steps,
    @Key("Length in tokens, rounded up to whole steps; give either this or steps")
        Optional<Long> tokens,
    @Key(
            "Weight of each dataset by name; weights are divided by their sum, so they need not add to 1")
        Map<String, Double> mixture) {

  public StageConfig {
    mixture = Collections.unmodifiableMap(new LinkedHashMap<>(mixture));
    Checks checks = new Checks();
    checks.folderName("name", name);
    checks.require(
        steps.isPresent() || tokens.isPresent(),
        List.of("", "steps", "tokens"),
        "needs a length: add steps or tokens");
    checks.require(
        steps.isEmpty() || tokens.isEmpty(),
        List.of("tokens", "steps"),
        "is given together with steps: keep one of the two");
    steps.ifPresent(count -> checks.positive("steps", count));
    tokens.ifPresent(count -> checks.positive("tokens", count));
    checks.require(!mixture.isEmpty(), List.of("mixture"), "needs at least one dataset");
    mixture.forEach((dataset, weight) -> checks.positive("mixture." + dataset, weight));
    double sum = sum(mixture);
    checks.require(
        Double.isFinite(sum) || !mixture.values().stream().allMatch(Double::isFinite),
        List.of("mixture"),
        "has weights whose sum is not finite: make them smaller");
    checks.throwIfAny();
  }

  /** Weights divided by their sum, in the order of the file. */
  public Map<String, Double> shares() {
    double sum = sum(mixture);
    Map<String, Double> shares = new LinkedHashMap<>();
    mixture.forEach((dataset, weight) -> shares.put(dataset, weight / sum));
    return Collections.unmodifiableMap(shares);
  }

  /** Length in steps of so many tokens each; the last step of a length in tokens is a whole one. */
  public long stepsOf(long globalBatchTokens) {
    return steps.orElseGet(() -> Math.ceilDiv(tokens.orElseThrow(), globalBatchTokens));
  }

  private static double sum(Map<String, Double> weights) {
    return weights.values().stream().mapToDouble(Double::doubleValue).sum();
  }
}
