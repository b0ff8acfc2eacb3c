package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.GradientSink;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterStorage;
import org.pretrain4j.trainer.model.Phase;
import org.pretrain4j.trainer.model.PhaseClock;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.model.TrainingPass;

/**
 * Matrix products by libtorch into memory that is reused, all that lies between them by operators
 * of the device in few passes over memory, the backward pass by hand.
 */
public final class FusedPass implements TrainingPass {
  private final NDManager manager;
  private final ModelConfig config;
  private final ActivationCheckpointing checkpointing;
  private final ScalarType type;
  private final FusedOperators operators;
  private final Weight embedding;
  private final List<FusedLayer> layers = new ArrayList<>();
  private final FusedHead head;
  private final long mostChunkTokens;
  private final Map<Long, Workspace> workspaces = new HashMap<>();
  private final PhaseClock clock;

  /**
   * @param parent of the CPU; closed after this pass, not before
   * @param checkpointing what of the activations is kept
   * @param type what the model computes in, the storage's type
   * @param sequenceLength longest row
   * @param pool threads of the vector code; not closed here
   */
  public FusedPass(
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ActivationCheckpointing checkpointing,
      ScalarType type,
      int sequenceLength,
      WorkerPool pool) {
    this(
        parent,
        config,
        storage,
        checkpointing,
        type,
        sequenceLength,
        pool,
        MklGemm.of(type),
        TileGemm.find());
  }

  /**
   * @param gemm what the backward pass multiplies with, if not with libtorch's operators
   * @param tiles what bfloat16 is multiplied with where also gemm is given
   */
  public FusedPass(
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ActivationCheckpointing checkpointing,
      ScalarType type,
      int sequenceLength,
      WorkerPool pool,
      Optional<MklGemm> gemm,
      Optional<TileGemm> tiles) {
    this(
        parent,
        config,
        storage,
        checkpointing,
        type,
        Timeline.host(),
        manager -> new HostOperators(manager, config, type, sequenceLength, pool, gemm, tiles));
  }

  /**
   * @param parent on the device of the operators
   * @param timeline of that device; closed with this pass
   * @param operators makes them, with a manager for their memory
   */
  FusedPass(
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ActivationCheckpointing checkpointing,
      ScalarType type,
      Timeline timeline,
      Function<NDManager, FusedOperators> operators) {
    this(
        parent,
        config,
        storage,
        checkpointing,
        type,
        timeline,
        operators,
        LogitChunks.mostTokens(config.vocabSize()));
  }

  /**
   * @param mostChunkTokens most tokens whose logits are there at once
   */
  FusedPass(
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ActivationCheckpointing checkpointing,
      ScalarType type,
      Timeline timeline,
      Function<NDManager, FusedOperators> operators,
      long mostChunkTokens) {
    this.mostChunkTokens = mostChunkTokens;
    this.manager = parent.newSubManager();
    this.config = config;
    this.checkpointing = checkpointing;
    this.type = type;
    this.operators = operators.apply(manager);
    this.clock = new PhaseClock(timeline);
    Weights weights = new Weights(manager, storage, ModelLayout.of(config));
    FusedLayer.Shared shared =
        new FusedLayer.Shared(
            manager,
            config,
            weights,
            this.operators,
            Tensor.empty(manager, ScalarType.FLOAT32, config.hiddenSize()));
    this.embedding = weights.of(ModelLayout.EMBEDDING);
    for (int layer = 0; layer < config.numHiddenLayers(); layer++) {
      layers.add(new FusedLayer(shared, layer));
    }
    this.head = new FusedHead(shared);
  }

  @Override
  public void run(MicroBatch batch, GradientSink sink) {
    clock.start();
    long tokens = (long) batch.rows() * batch.sequenceLength();
    Workspace space =
        workspaces.computeIfAbsent(
            tokens,
            count ->
                new Workspace(
                    manager,
                    config,
                    checkpointing,
                    type,
                    operators.products().inputGradientType(),
                    count,
                    mostChunkTokens));
    operators.begin(batch);
    Activation first = layers.isEmpty() ? space.output : space.layers.getFirst().input;
    operators.embed(embedding.value(), first);
    clock.lap(Phase.EMBEDDING);
    for (int layer = 0; layer < layers.size(); layer++) {
      layers.get(layer).forward(batch, space.layers.get(layer), space, space.behind(layer));
    }
    clock.lap(Phase.FORWARD);
    head.run(space, sink);
    sink.partDone(layers.size() + 1);
    clock.lap(Phase.HEAD);
    for (int layer = layers.size() - 1; layer >= 0; layer--) {
      boolean last = layer == layers.size() - 1;
      if (checkpointing != ActivationCheckpointing.NONE && !last) {
        layers.get(layer).recompute(checkpointing, batch, space.layers.get(layer), space);
      }
      layers.get(layer).backward(batch, space.layers.get(layer), space, sink);
      sink.partDone(layer + 1);
    }
    clock.lap(Phase.BACKWARD);
    FlatLayout.Entry table = embedding.parts().getFirst();
    try (GradientSink.Sum sum = sink.sumOf(table)) {
      if (sum.first()) {
        sum.tensor().zero();
      }
      operators.embedBackward(space.gradient, sum.tensor());
    }
    sink.partDone(0);
    clock.lap(Phase.EMBEDDING);
  }

  @Override
  public double takeLoss() {
    return operators.takeLoss();
  }

  @Override
  public PhaseClock clock() {
    return clock;
  }

  @Override
  public void close() {
    clock.close();
    operators.close();
    manager.close();
  }
}
