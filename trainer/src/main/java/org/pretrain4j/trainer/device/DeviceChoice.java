package org.pretrain4j.trainer.device;

/** What a run is to compute on. */
public enum DeviceChoice {
  /** A GPU where libtorch is built for CUDA and the machine has a driver and GPUs, else the CPU. */
  AUTO,
  CPU,
  CUDA
}
