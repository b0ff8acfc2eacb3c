package org.pretrain4j.launch;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.InferenceModel;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.sharding.OptimizerShard;

/** The model in a checkpoint, ready to be asked. It computes in fp32, with the master weights. */
final class CheckpointModel {
  private CheckpointModel() {}

  /** The configuration that the checkpoint was made with. */
  static RunConfig configuration(Checkpoint checkpoint) {
    return ConfigurationReader.parse(
        RunConfig.class,
        checkpoint.state().configuration(),
        checkpoint.folder() + " (its configuration)");
  }

  /**
   * Reads the weights.
   *
   * @param manager owns them
   */
  static InferenceModel load(NDManager manager, Checkpoint checkpoint, RunConfig config) {
    long elements = checkpoint.layout().elements();
    Tensor weights = Tensor.empty(manager, ScalarType.FLOAT32, elements);
    checkpoint.read(OptimizerShard.MASTER, new FlatRange(0, elements), weights.segment());
    return new InferenceModel(
        manager,
        config.model(),
        (scope, parameter) ->
            weights.view(
                scope,
                parameter.offset(),
                parameter.shape().stream().mapToLong(Long::longValue).toArray()),
        ScalarType.FLOAT32,
        config.training().sequenceLength());
  }
}
