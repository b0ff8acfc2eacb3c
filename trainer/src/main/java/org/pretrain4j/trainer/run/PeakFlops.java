package org.pretrain4j.trainer.run;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.bench.GemmPeak;
import org.pretrain4j.trainer.libtorch.ScalarType;

/** What MFU is held against: on a CPU the rate of a matrix product, measured when a run starts. */
final class PeakFlops {
  private static final int SIZE = 1024;
  private static final int REPETITIONS = 5;

  private PeakFlops() {}

  /** Operations a second of this machine. */
  static double measure(NDManager manager, ScalarType type) {
    try (NDManager scope = manager.newSubManager()) {
      return new GemmPeak(scope, type, SIZE).measure(REPETITIONS);
    }
  }
}
