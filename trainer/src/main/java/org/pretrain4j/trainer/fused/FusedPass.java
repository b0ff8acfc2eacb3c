package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.kernels.Embedding;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.RmsNorm;
import org.pretrain4j.trainer.kernels.RotaryEmbedding;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.GradientSink;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterStorage;
import org.pretrain4j.trainer.model.Phase;
import org.pretrain4j.trainer.model.PhaseClock;
import org.pretrain4j.trainer.model.TrainingPass;

/**
 * The pass for CPUs: matrix products by libtorch into memory that is reused, all that lies between
 * them by vector code in few passes over memory, the backward pass by hand.
 */
public final class FusedPass implements TrainingPass {
  private final NDManager manager;
  private final ModelConfig config;
  private final ScalarType type;
  private final WorkerPool pool;
  private final GradientProducts products;
  private final Weight embedding;
  private final List<FusedLayer> layers = new ArrayList<>();
  private final FusedHead head;
  private final Map<Long, Workspace> workspaces = new HashMap<>();
  private final PhaseClock clock = new PhaseClock();

  /**
   * @param parent of the CPU; closed after this pass, not before
   * @param type what the model computes in, the storage's type
   * @param sequenceLength longest row
   * @param pool threads of the vector code; not closed here
   */
  public FusedPass(
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ScalarType type,
      int sequenceLength,
      WorkerPool pool) {
    this(parent, config, storage, type, sequenceLength, pool, MklGemm.of(type));
  }

  /**
   * @param gemm what the backward pass multiplies with, if not with libtorch's operators
   */
  public FusedPass(
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ScalarType type,
      int sequenceLength,
      WorkerPool pool,
      Optional<MklGemm> gemm) {
    this.manager = parent.newSubManager();
    this.config = config;
    this.type = type;
    this.pool = pool;
    Weights weights = new Weights(manager, storage, ModelLayout.of(config));
    this.products = GradientProducts.of(gemm, manager, type);
    FusedLayer.Shared shared =
        new FusedLayer.Shared(
            manager,
            config,
            type,
            pool,
            weights,
            new RmsNorm(pool, config.hiddenSize(), config.rmsNormEps()),
            new RotaryEmbedding(pool, sequenceLength, config.headDim(), config.ropeTheta()),
            new DocumentAttention(
                config,
                gemm.map(found -> new TiledAttentionGradient(manager, config, type, found, pool))),
            products,
            Tensor.empty(manager, ScalarType.FLOAT32, config.hiddenSize()));
    this.embedding = weights.of(ModelLayout.EMBEDDING);
    for (int layer = 0; layer < config.numHiddenLayers(); layer++) {
      layers.add(new FusedLayer(shared, layer));
    }
    this.head = new FusedHead(shared);
  }

  @Override
  public double run(MicroBatch batch, GradientSink sink) {
    clock.start();
    long tokens = (long) batch.rows() * batch.sequenceLength();
    Workspace space =
        workspaces.computeIfAbsent(
            tokens,
            count -> new Workspace(manager, config, type, products.inputGradientType(), count));
    int[] inputs = batch.flatInputs();
    Activation first = layers.isEmpty() ? space.output : space.layers.getFirst().input;
    Embedding.forward(pool, embedding.value().matrix(), inputs, first.matrix());
    clock.lap(Phase.EMBEDDING);
    for (int layer = 0; layer < layers.size(); layer++) {
      layers.get(layer).forward(batch, space.layers.get(layer), space, space.behind(layer));
    }
    clock.lap(Phase.FORWARD);
    double loss = head.run(batch.flatTargets(), space, sink);
    sink.partDone(layers.size() + 1);
    clock.lap(Phase.HEAD);
    for (int layer = layers.size() - 1; layer >= 0; layer--) {
      layers.get(layer).backward(batch, space.layers.get(layer), space, sink);
      sink.partDone(layer + 1);
    }
    clock.lap(Phase.BACKWARD);
    FlatLayout.Entry table = embedding.parts().getFirst();
    try (GradientSink.Sum sum = sink.sumOf(table)) {
      if (sum.first()) {
        sum.tensor().zero();
      }
      Matrix target =
          Matrix.float32(sum.tensor().segment(), config.vocabSize(), config.hiddenSize());
      Embedding.backward(pool, space.gradient.matrix(), inputs, target);
    }
    sink.partDone(0);
    clock.lap(Phase.EMBEDDING);
    return loss;
  }

  @Override
  public PhaseClock clock() {
    return clock;
  }

  @Override
  public void close() {
    manager.close();
  }
}
