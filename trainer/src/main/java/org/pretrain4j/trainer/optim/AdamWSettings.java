package org.pretrain4j.trainer.optim;

/**
 * What of {@link AdamW} stays the same from step to step.
 *
 * @param beta1 decay of the first moment, in [0, 1)
 * @param beta2 decay of the second moment, in [0, 1)
 * @param epsilon added to the root of the second moment
 */
public record AdamWSettings(double beta1, double beta2, double epsilon) {

  /**
   * The constants of an update, for every device.
   *
   * @param update its number, counted from 1
   * @param rate learning rate
   * @param decay weight decay
   * @param scale what the gradient is multiplied by as it is read
   */
  public AdamWCoefficients coefficients(long update, double rate, double decay, double scale) {
    if (update < 1 || !Double.isFinite(rate) || !Double.isFinite(scale)) {
      throw new IllegalArgumentException(
          "update " + update + ", rate " + rate + ", gradient scale " + scale);
    }
    return AdamWCoefficients.of(beta1, beta2, epsilon, update, rate, decay, scale);
  }
}
