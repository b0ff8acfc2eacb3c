package org.pretrain4j.trainer.model;

/** Rotary position angles: {@code position * theta^(-2 i / headDim)}, computed in float32. */
final class RotaryTable {

  private RotaryTable() {}

  /** {@code [positions, headDim / 2]}, row-major. */
  static float[] angles(ModelConfig config, int positions) {
    int half = config.headDim() / 2;
    float[] frequencies = new float[half];
    for (int i = 0; i < half; i++) {
      frequencies[i] = (float) Math.pow(config.ropeTheta(), -2.0 * i / config.headDim());
    }
    float[] angles = new float[positions * half];
    for (int position = 0; position < positions; position++) {
      for (int i = 0; i < half; i++) {
        angles[position * half + i] = position * frequencies[i];
      }
    }
    return angles;
  }
}
