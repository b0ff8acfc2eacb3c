package org.pretrain4j.trainer.run;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.machine.GemmPeak;

/** What MFU is held against: the rate of a matrix product, measured when a run starts. */
final class PeakFlops {
  private static final int SIZE = 1024;
  private static final int GPU_SIZE = 8192;
  private static final int REPETITIONS = 5;

  private PeakFlops() {}

  /** Operations a second of a device. */
  static double measure(ComputeDevice device, ScalarType type) {
    int size = device.gpu().isPresent() ? GPU_SIZE : SIZE;
    try (NDManager scope = device.manager().newSubManager()) {
      return new GemmPeak(scope, device, type, size).measure(REPETITIONS);
    }
  }
}
