package org.pretrain4j.launch;

import java.util.Arrays;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.pretrain4j.configuration.UserException;

/**
 * Draws tokens from logits: temperature first, then nucleus sampling (Holtzman et al., 2020), which
 * keeps the fewest likely tokens whose probabilities sum to at least top-p.
 */
final class Sampler {
  private final double temperature;
  private final double topP;
  private final SplittableRandom random;

  /**
   * @param temperature divides the logits; 0 always takes the likeliest token
   * @param topP above 0, up to 1
   * @throws UserException if either is out of its range
   */
  Sampler(double temperature, double topP, long seed) {
    if (!(temperature >= 0) || Double.isInfinite(temperature)) {
      throw new UserException("--temperature is " + temperature + ", expected 0 or more");
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new UserException("--top-p is " + topP + ", expected more than 0 and at most 1");
    }
    this.temperature = temperature;
    this.topP = topP;
    this.random = new SplittableRandom(seed);
  }

  /**
   * Draws one token.
   *
   * @param logits {@code [vocabulary]}
   * @param candidates how many of the first ids may be drawn: a table may have more rows than the
   *     tokenizer has tokens
   */
  int next(float[] logits, int candidates) {
    int likeliest = 0;
    for (int id = 1; id < candidates; id++) {
      likeliest = logits[id] > logits[likeliest] ? id : likeliest;
    }
    if (temperature == 0) {
      return likeliest;
    }
    double[] weights = new double[candidates];
    for (int id = 0; id < candidates; id++) {
      // Less the largest, so that no exponential overflows.
      weights[id] = Math.exp((logits[id] - (double) logits[likeliest]) / temperature);
    }
    return draw(weights);
  }

  private int draw(double[] weights) {
    int[] order =
        IntStream.range(0, weights.length)
            .boxed()
            .sorted(Comparator.comparingDouble(id -> -weights[id]))
            .mapToInt(Integer::intValue)
            .toArray();
    double wanted = topP * Arrays.stream(weights).sum();
    double nucleus = 0;
    int kept = 0;
    while (kept < order.length && (kept == 0 || nucleus < wanted)) {
      nucleus += weights[order[kept++]];
    }
    double point = random.nextDouble() * nucleus;
    for (int i = 0; i < kept; i++) {
      point -= weights[order[i]];
      if (point < 0) {
        return order[i];
      }
    }
    return order[kept - 1];
  }
}
