package org.pretrain4j.trainer.libtorch;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;

/** Owners of tensors. DJL's own choice of a device would be a GPU wherever libtorch has CUDA. */
public final class Managers {
  private Managers() {}

  /** A new one whose tensors are in the host's memory. */
  public static NDManager host() {
    Libtorch.load();
    return NDManager.newBaseManager(Device.cpu(), Libtorch.ENGINE);
  }

  /**
   * A new one whose tensors are in a GPU's memory.
   *
   * @param index of the GPU among those that this process sees
   */
  public static NDManager gpu(int index) {
    Libtorch.load();
    return NDManager.newBaseManager(Device.gpu(index), Libtorch.ENGINE);
  }
}
