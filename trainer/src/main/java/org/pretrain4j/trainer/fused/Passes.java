package org.pretrain4j.trainer.fused;

import org.pretrain4j.trainer.cuda.CudaDevice;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.LayerwisePass;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ParameterStorage;
import org.pretrain4j.trainer.model.TrainingPass;

/** The choice between the passes. */
public final class Passes {

  private Passes() {}

  /**
   * The pass of the asked kind.
   *
   * @param checkpointing what of the activations is kept
   * @param device to compute on; stays open
   * @param type what the model computes in, the storage's type
   * @param sequenceLength longest row
   */
  public static TrainingPass of(
      Kernels kernels,
      ActivationCheckpointing checkpointing,
      ComputeDevice device,
      ModelConfig config,
      ParameterStorage storage,
      ScalarType type,
      int sequenceLength) {
    return switch (kernels) {
      case FUSED -> fused(checkpointing, device, config, storage, type, sequenceLength);
      case COMPOSED ->
          new LayerwisePass(device.manager(), config, storage, checkpointing, type, sequenceLength);
    };
  }

  private static TrainingPass fused(
      ActivationCheckpointing checkpointing,
      ComputeDevice device,
      ModelConfig config,
      ParameterStorage storage,
      ScalarType type,
      int sequenceLength) {
    if (device.gpu().isEmpty()) {
      return new FusedPass(
          device.manager(), config, storage, checkpointing, type, sequenceLength, device.pool());
    }
    CudaDevice gpu = device.gpu().get();
    return new FusedPass(
        device.manager(),
        config,
        storage,
        checkpointing,
        type,
        manager -> CudaOperators.of(manager, config, type, sequenceLength, gpu));
  }
}
