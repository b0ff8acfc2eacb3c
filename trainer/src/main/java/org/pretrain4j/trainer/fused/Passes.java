package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Set;
import java.util.function.Function;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.FusedOperator;
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
    return of(kernels, Set.of(), checkpointing, device, config, storage, type, sequenceLength);
  }

  /**
   * The same with some operators of the fused pass switched off.
   *
   * @param switchedOff operators that are composed in the fused pass, too
   */
  public static TrainingPass of(
      Kernels kernels,
      Set<FusedOperator> switchedOff,
      ActivationCheckpointing checkpointing,
      ComputeDevice device,
      ModelConfig config,
      ParameterStorage storage,
      ScalarType type,
      int sequenceLength) {
    NDManager parent = device.manager();
    Function<NDManager, FusedOperators> operators =
        manager ->
            ChosenOperators.of(
                own(manager, device, config, type, sequenceLength),
                switchedOff,
                manager,
                config,
                type,
                sequenceLength);
    return switch (kernels) {
      case FUSED ->
          new FusedPass(parent, config, storage, checkpointing, type, device.timeline(), operators);
      case COMPOSED ->
          new LayerwisePass(
              parent, config, storage, checkpointing, type, sequenceLength, device.timeline());
    };
  }

  /** The fused operators of the device. */
  private static FusedOperators own(
      NDManager manager,
      ComputeDevice device,
      ModelConfig config,
      ScalarType type,
      int sequenceLength) {
    return device.gpu().isPresent()
        ? CudaOperators.of(manager, config, type, sequenceLength, device.gpu().get())
        : new HostOperators(
            manager,
            config,
            type,
            sequenceLength,
            device.pool(),
            MklGemm.of(type),
            TileGemm.find());
  }
}
