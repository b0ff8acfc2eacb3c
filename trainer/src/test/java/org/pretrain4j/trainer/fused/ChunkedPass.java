package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Optional;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ParameterStorage;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.model.TrainingPass;

/** The fused pass on the CPU with chunks of the head that are small enough for a test. */
public final class ChunkedPass {
  private ChunkedPass() {}

  /**
   * A pass.
   *
   * @param chunkTokens most tokens of a chunk
   */
  public static TrainingPass of(
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ScalarType type,
      int sequenceLength,
      WorkerPool pool,
      Optional<MklGemm> gemm,
      Optional<TileGemm> tiles,
      long chunkTokens) {
    return new FusedPass(
        parent,
        config,
        storage,
        ActivationCheckpointing.NONE,
        type,
        Timeline.host(),
        manager -> new HostOperators(manager, config, type, sequenceLength, pool, gemm, tiles),
        chunkTokens);
  }
}
