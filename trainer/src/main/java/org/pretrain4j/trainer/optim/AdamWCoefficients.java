package org.pretrain4j.trainer.optim;

/**
 * The constants of one update by {@link AdamW}, each rounded once.
 *
 * @param gradientScale what the gradient is multiplied by
 * @param oneMinusBeta1 share of the gradient in the first moment
 * @param beta2 decay of the second moment
 * @param oneMinusBeta2 share of the gradient's square in the second moment
 * @param rootScale {@code 1 / sqrt(1 - beta2^update)}
 * @param epsilon added to the root of the second moment
 * @param stepSize {@code rate / (1 - beta1^update)}
 * @param decay {@code rate * weightDecay}
 */
public record AdamWCoefficients(
    float gradientScale,
    float oneMinusBeta1,
    float beta2,
    float oneMinusBeta2,
    float rootScale,
    float epsilon,
    float stepSize,
    float decay) {

  /**
   * Those of an update.
   *
   * @param update its number, counted from 1
   * @param rate learning rate
   * @param weightDecay of these elements
   */
  public static AdamWCoefficients of(
      double beta1,
      double beta2,
      double epsilon,
      long update,
      double rate,
      double weightDecay,
      double gradientScale) {
    return new AdamWCoefficients(
        (float) gradientScale,
        (float) (1 - beta1),
        (float) beta2,
        (float) (1 - beta2),
        (float) (1 / Math.sqrt(1 - Math.pow(beta2, update))),
        (float) epsilon,
        (float) (rate / (1 - Math.pow(beta1, update))),
        (float) (rate * weightDecay));
  }
}
