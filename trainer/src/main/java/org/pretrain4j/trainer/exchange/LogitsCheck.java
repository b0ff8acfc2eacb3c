package org.pretrain4j.trainer.exchange;

import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.StreamedModel;

/**
 * Whether weights that were written and read back still are the model: the logits of a few tokens,
 * drawn evenly from the vocabulary, by the trainer's own forward pass.
 */
final class LogitsCheck {
  private static final int PROBE_TOKENS = 32;
  private static final long SEED = 3;

  private final ModelConfig config;
  private final int[] probe;

  LogitsCheck(ModelConfig config) {
    this.config = config;
    SplittableRandom random = new SplittableRandom(SEED);
    this.probe =
        random
            .ints(Math.min(PROBE_TOKENS, config.maxPositionEmbeddings()), 0, config.vocabSize())
            .toArray();
  }

  int probeTokens() {
    return probe.length;
  }

  /**
   * Compares.
   *
   * @param target what the user called the result, for messages
   * @param original the weights in fp32
   * @param rounded the weights after one rounding to the type of the result, whose logits must come
   *     back bit for bit; empty if the type is no plain rounding
   * @param written what was read back
   * @param tolerance largest difference from the original
   * @return the difference from the original: its root mean square over the spread of the original
   * @throws UserException if there is more of it, or if bits differ
   */
  double compare(
      String target,
      TensorSource original,
      Optional<TensorSource> rounded,
      TensorSource written,
      double tolerance) {
    float[] actual = logits(written);
    for (float logit : actual) {
      if (!Float.isFinite(logit)) {
        throw new UserException(
            "the export to %s fails its check: a logit of what was written is %s, so the weights do not"
                    .formatted(target, logit)
                + " fit this type; nothing was kept, take another type");
      }
    }
    if (rounded.isPresent() && !Arrays.equals(logits(rounded.get()), actual)) {
      throw new UserException(
          "the export to %s fails its check: the logits of what was written are not those of the rounded"
                  .formatted(target)
              + " weights; nothing was kept, look at the disk and try again");
    }
    double difference = difference(logits(original), actual);
    if (!(difference <= tolerance)) {
      throw new UserException(
          "the export to %s fails its check: its logits differ by %.2g of their spread, at most %.2g is allowed; nothing was kept"
              .formatted(target, difference, tolerance));
    }
    return difference;
  }

  private float[] logits(TensorSource weights) {
    try (NDManager manager = Managers.host();
        StreamedModel model = new StreamedModel(manager, config, weights, probe.length)) {
      return model.logits(probe);
    }
  }

  private static double difference(float[] expected, float[] actual) {
    double mean = 0;
    for (float logit : expected) {
      mean += logit;
    }
    mean /= expected.length;
    double spread = 0;
    double error = 0;
    for (int i = 0; i < expected.length; i++) {
      spread += (expected[i] - mean) * (expected[i] - mean);
      error += ((double) actual[i] - expected[i]) * ((double) actual[i] - expected[i]);
    }
    return error == 0 ? 0 : Math.sqrt(error / spread);
  }
}
