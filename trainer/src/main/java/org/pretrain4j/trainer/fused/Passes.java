package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.trainer.kernels.WorkerPool;
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
   * @param parent on the device to compute on
   * @param type what the model computes in, the storage's type
   * @param sequenceLength longest row
   * @param pool threads of the vector code; not closed by the pass
   */
  public static TrainingPass of(
      Kernels kernels,
      ActivationCheckpointing checkpointing,
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ScalarType type,
      int sequenceLength,
      WorkerPool pool) {
    return switch (kernels) {
      case FUSED ->
          new FusedPass(parent, config, storage, checkpointing, type, sequenceLength, pool);
      case COMPOSED ->
          new LayerwisePass(parent, config, storage, checkpointing, type, sequenceLength);
    };
  }
}
