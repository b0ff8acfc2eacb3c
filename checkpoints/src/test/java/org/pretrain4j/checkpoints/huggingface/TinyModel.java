package org.pretrain4j.checkpoints.huggingface;

import java.util.OptionalInt;
import org.pretrain4j.checkpoints.tensors.MapTensors;

/** A model of the right shape, small enough for a test. */
public final class TinyModel {
  public static final ModelArchitecture ARCHITECTURE = withRopeTheta(50_000);

  private TinyModel() {}

  public static ModelArchitecture withRopeTheta(double ropeTheta) {
    return new ModelArchitecture(
        258,
        64,
        96,
        4,
        4,
        2,
        16,
        ropeTheta,
        4,
        1e-6,
        0.02,
        512,
        true,
        OptionalInt.empty(),
        OptionalInt.of(257),
        OptionalInt.empty());
  }

  public static MapTensors tensors(long seed) {
    return MapTensors.random(ARCHITECTURE.tensors(), seed);
  }
}
