package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.fused.Passes;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.FusedOperator;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.model.TrainingPass;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.parallel.SoloCollectives;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.GradientBuffer;
import org.pretrain4j.trainer.sharding.ParameterBuffer;
import org.pretrain4j.trainer.sharding.ShardOperators;

/** The step of a shape on this process alone: set up once, run as often as asked. */
final class MeasuredStep implements AutoCloseable {
  private static final long SEED = 6;
  private static final long BUCKET_ELEMENTS = 25_000_000;

  private final ComputeDevice device;
  private final NDManager manager;
  private final ShardOperators operators;
  private final Timeline timeline;
  private final TrainingPass pass;
  private final GradientBuffer gradients;
  private final BenchOptimizer optimizer;
  private final MicroBatch batch;
  private final int microBatches;

  /**
   * What one step took.
   *
   * @param loss sum over all tokens, in nats
   */
  record Sample(double seconds, Map<String, Double> phases, double loss) {}

  /**
   * @param switchedOff fused operators that are composed
   * @param device to compute on; stays open
   */
  MeasuredStep(
      Shape shape,
      ScalarType type,
      Kernels kernels,
      Set<FusedOperator> switchedOff,
      ActivationCheckpointing checkpointing,
      ComputeDevice device) {
    this.device = device;
    manager = device.manager().newSubManager();
    Buckets buckets = Buckets.of(ModelLayout.of(shape.model()), 1, BUCKET_ELEMENTS);
    ParameterBuffer weights = new ParameterBuffer(manager, buckets, type);
    weights.initialize(new ParameterInitializer(shape.model(), SEED));
    Collectives alone = new SoloCollectives();
    operators = ShardOperators.of(device);
    timeline = device.timeline();
    gradients =
        GradientBuffer.of(
            GradientSharding.FULL,
            manager,
            buckets,
            alone,
            shape.microBatches(),
            operators,
            timeline);
    pass =
        Passes.of(
            kernels,
            switchedOff,
            checkpointing,
            device,
            shape.model(),
            weights,
            type,
            shape.sequenceLength());
    optimizer =
        shape.withOptimizer()
            ? new BenchOptimizer(manager, shape, buckets, gradients, weights, operators, alone)
            : null;
    batch = shape.randomBatch(SEED);
    microBatches = shape.microBatches();
  }

  Sample run() {
    device.synchronize();
    long start = System.nanoTime();
    gradients.startStep(microBatches);
    for (int i = 0; i < microBatches; i++) {
      pass.run(batch, gradients);
    }
    long passed = timeline.mark();
    gradients.finishStep();
    long reduced = timeline.mark();
    double loss = pass.takeLoss();
    long lost = timeline.mark();
    if (optimizer != null) {
      optimizer.run();
    }
    long updated = timeline.mark();
    device.synchronize();
    double seconds = (System.nanoTime() - start) * 1e-9;
    Map<String, Double> phases = new LinkedHashMap<>();
    pass.clock()
        .drain()
        .forEach((phase, time) -> phases.put(phase.name().toLowerCase(Locale.ROOT), time));
    phases.put("gradients", timeline.seconds(passed, reduced));
    phases.put("loss", timeline.seconds(reduced, lost));
    if (optimizer != null) {
      phases.put("optimizer", timeline.seconds(lost, updated));
    }
    List.of(passed, reduced, lost, updated).forEach(timeline::forget);
    return new Sample(seconds, phases, loss);
  }

  @Override
  public void close() {
    pass.close();
    timeline.close();
    operators.close();
    manager.close();
  }
}
