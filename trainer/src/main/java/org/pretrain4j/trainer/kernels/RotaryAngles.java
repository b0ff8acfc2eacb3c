package org.pretrain4j.trainer.kernels;

/**
 * Cosines and sines of rotary positions, computed in float64: pair i of a head turns by {@code
 * position * theta^(-2 i / headDim)}.
 *
 * @param cosines [positions, headDim / 2]
 * @param sines the same
 */
public record RotaryAngles(float[] cosines, float[] sines) {

  /**
   * For positions 0 to positions - 1.
   *
   * @param headDim elements of a head, even
   * @param theta base of the frequencies
   */
  public static RotaryAngles of(int positions, int headDim, double theta) {
    if (headDim < 2 || headDim % 2 != 0 || positions < 1) {
      throw new IllegalArgumentException(positions + " positions, headDim " + headDim);
    }
    int half = headDim / 2;
    float[] cosines = new float[Math.multiplyExact(positions, half)];
    float[] sines = new float[cosines.length];
    for (int i = 0; i < half; i++) {
      double frequency = StrictMath.pow(theta, -2.0 * i / headDim);
      for (int position = 0; position < positions; position++) {
        double angle = position * frequency;
        cosines[position * half + i] = (float) StrictMath.cos(angle);
        sines[position * half + i] = (float) StrictMath.sin(angle);
      }
    }
    return new RotaryAngles(cosines, sines);
  }
}
