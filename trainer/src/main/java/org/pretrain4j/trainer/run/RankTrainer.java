package org.pretrain4j.trainer.run;

import ai.djl.ndarray.NDManager;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.DamagedCheckpointException;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.configuration.StorageException;
import org.pretrain4j.data.stream.ReadAhead;
import org.pretrain4j.data.stream.Row;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.fused.Passes;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.machine.GarbageCollectionTime;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.model.ParameterStorage;
import org.pretrain4j.trainer.model.Phase;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.model.TrainingPass;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.GradientNorm;
import org.pretrain4j.trainer.optim.LearningRateSchedule;
import org.pretrain4j.trainer.optim.ParameterGroups;
import org.pretrain4j.trainer.optim.StepGuard;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.faults.FaultInjector;
import org.pretrain4j.trainer.parallel.faults.FlightRecorder;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.GradientBuffer;
import org.pretrain4j.trainer.sharding.OptimizerShard;
import org.pretrain4j.trainer.sharding.ParameterBuffer;
import org.pretrain4j.trainer.sharding.ShardOperators;
import org.pretrain4j.trainer.sharding.Standstill;

/**
 * One rank's part of a run: its rows, its passes, its share of the optimizer. Every decision is
 * taken from values that all ranks have alike, so all take the same one.
 */
final class RankTrainer implements AutoCloseable {
  private final RunConfig config;
  private final Collectives collectives;
  private final FlightRecorder recorder;
  private final FaultInjector faults;
  private final TokenStream stream;
  private final ComputeDevice device;
  private final Timeline timeline;
  private final ShardOperators operators;
  private final ModelLayout layout;
  private final Buckets buckets;
  private final ParameterBuffer weights;
  private final GradientBuffer gradients;
  private final OptimizerShard shard;
  private final TrainingPass pass;
  private final AdamWSettings adamW;
  private final ParameterGroups groups;
  private final LearningRateSchedule schedule;
  private final StepGuard guard;
  private final RowShare share;
  private ReadAhead rows;
  private TrainingListener listener = new TrainingListener() {};
  private final Standstill forWeights;
  private Pending weightsThere = Pending.COMPLETE;
  private double stoodStill;
  private long step;
  private double optimizerSeconds;
  private double communicationSeconds;
  private double collectorSeconds;
  private final GarbageCollectionTime garbageCollection = new GarbageCollectionTime();

  /** What a step came to, the same on all ranks but for the times. */
  record StepOutcome(
      double loss,
      double gradNorm,
      double learningRate,
      StepGuard.Decision decision,
      long substitutes,
      boolean stopWanted,
      List<RankWork> work,
      StepTimes times) {}

  /**
   * @param collectives as {@code signs} watches them
   * @param signs where this rank says what it does
   * @param device to compute on; closed with this
   */
  RankTrainer(
      RunConfig config,
      Collectives collectives,
      RankSigns signs,
      TokenStream stream,
      ComputeDevice device) {
    this.config = config;
    this.collectives = collectives;
    this.recorder = signs.recorder(collectives.rank());
    this.faults = signs.faults(collectives.rank());
    this.stream = stream;
    this.device = device;
    device.use();
    this.timeline = device.timeline();
    this.forWeights = new Standstill(timeline);
    this.operators = ShardOperators.of(device);
    NDManager manager = device.manager();
    this.layout = ModelLayout.of(config.model());
    this.buckets =
        Buckets.of(layout, collectives.worldSize(), config.parallelism().bucketElements());
    ScalarType type = typeOf(config);
    this.weights = new ParameterBuffer(manager, buckets, type);
    this.gradients =
        GradientBuffer.of(
            config.parallelism().gradientSharding(),
            manager,
            buckets,
            collectives,
            config.training().mostMicroBatches(collectives.worldSize()),
            operators,
            timeline);
    this.shard = new OptimizerShard(manager, buckets, collectives.rank(), operators);
    this.pass =
        Passes.of(
            config.training().kernels(),
            Set.copyOf(config.training().composedOperators()),
            config.training().activationCheckpointing(),
            device,
            config.model(),
            weights,
            type,
            config.training().sequenceLength());
    pass.clock().onLap(this::lap);
    this.adamW =
        new AdamWSettings(
            config.optimizer().beta1(), config.optimizer().beta2(), config.optimizer().epsilon());
    this.groups = groupsOf(config, layout.parameters());
    this.schedule = LearningRateSchedule.of(config.schedule(), config.optimizer().learningRate());
    this.guard =
        new StepGuard(config.training().maxSkippedSteps(), config.training().lossSpikes().policy());
    this.share =
        RowShare.of(
            Math.toIntExact(config.rowsPerStep()), collectives.rank(), collectives.worldSize());
  }

  private void lap(Phase phase) {
    // The head's backward pass is part of its lap, the layers' comes after it.
    enter(phase.ordinal() < Phase.HEAD.ordinal() ? "forward" : "backward");
    // The fused pass has queued no more than the embedding behind the weights of the other ranks:
    // on a GPU that waits for a rank that never comes, the driver soon takes no more.
    awaitWeights();
  }

  static ScalarType typeOf(RunConfig config) {
    return switch (config.training().precision()) {
      case BF16 -> ScalarType.BFLOAT16;
      case FP32 -> ScalarType.FLOAT32;
    };
  }

  static ParameterGroups groupsOf(RunConfig config, FlatLayout parameters) {
    return ParameterGroups.of(
        parameters, config.optimizer().weightDecay(), config.optimizer().weightDecayExclude());
  }

  /**
   * Starts from the first values of a new run, or from a checkpoint.
   *
   * @param work within which the values are made or read
   */
  void start(Optional<Checkpoint> checkpoint, LongWork work) {
    work.await(
        "loading",
        () -> {
          load(checkpoint);
          return null;
        });
    OptimizerShard.gather(weights, buckets, collectives);
    if (step < config.totalSteps()) {
      rows = share.read(stream, step, config.data().readAheadSteps()).orElse(null);
    }
  }

  private void load(Optional<Checkpoint> checkpoint) {
    device.use();
    if (checkpoint.isPresent()) {
      try {
        shard.load(checkpoint.get());
      } catch (DamagedCheckpointException e) {
        // It was good when it was chosen: the next start looks again, and may take another.
        throw new StorageException(e.getMessage(), e);
      }
      guard.restore(SavedState.guardOf(checkpoint.get().state()));
      step = checkpoint.get().step();
    } else {
      shard.initialize(new ParameterInitializer(config.model(), config.seed()));
    }
    shard.roundInto(weights);
  }

  /**
   * Does the next step.
   *
   * @param stopWanted whether this rank was asked to stop
   */
  StepOutcome step(boolean stopWanted) throws InterruptedException {
    StepTimes times = new StepTimes();
    device.use();
    garbageCollection.takeSeconds(); // what was collected between steps is no step's
    double exposedBefore = recorder.exposedSeconds();
    enter("data");
    FaultInjector.BadNumbers bad = faults.beginStep(step);
    List<Row> mine = rows == null ? List.of() : rows.next();
    listener.rows(step, collectives.rank(), mine);
    List<MicroBatch> batches =
        MicroBatches.of(
            mine, config.training().microBatchSize(), config.training().intraDocumentMasking());
    times.data(rows == null ? 0 : rows.takeWaitSeconds());
    long targets = 0;
    gradients.startStep(batches.size());
    for (MicroBatch batch : batches) {
      enter("forward");
      pass.run(batch, gradients);
      targets += batch.targetCount();
    }
    awaitWeights();
    double exposedInPasses = recorder.exposedSeconds() - exposedBefore;
    enter("communication");
    gradients.finishStep();
    double exposedSince = recorder.exposedSeconds();
    long substitutes = mine.stream().filter(Row::substitute).count();
    StepOutcome outcome = update(bad, targets, substitutes, stopWanted, exposedInPasses, times);
    // On a GPU the host's waits are mostly for this rank's own passes.
    communicationSeconds =
        device.gpu().isPresent()
            ? stoodStill + recorder.exposedSeconds() - exposedSince
            : recorder.exposedSeconds() - exposedBefore;
    times.communication(communicationSeconds);
    collectorSeconds = garbageCollection.takeSeconds();
    step++;
    return outcome;
  }

  private StepOutcome update(
      FaultInjector.BadNumbers bad,
      long targets,
      long substitutes,
      boolean stopWanted,
      double exposedInPasses,
      StepTimes times) {
    if (bad.gradient()) {
      shard.injectNan(gradients);
    }
    double squares = shard.sumOfSquares(gradients);
    double lossOfPasses = pass.takeLoss();
    // Not before the device has done all of it: nothing waits here.
    Standstill.Waits waits = gradients.takeWaits();
    stoodStill = waits.seconds() + forWeights.take().seconds();
    times.passes(
        pass.clock().drain(), device.gpu().isPresent() ? waits.inPasses() : exposedInPasses);
    double lossSum = bad.loss() ? Double.NaN : lossOfPasses;
    StepExchange all =
        StepExchange.of(
            collectives,
            targets,
            substitutes,
            lossSum,
            squares,
            stopWanted,
            times.work(optimizerSeconds, communicationSeconds, collectorSeconds));
    double mean = 1.0 / all.targets();
    double norm = GradientNorm.norm(all.squares(), mean);
    double learningRate = schedule.at(step);
    if (stream.plan().firstStep(stream.plan().stageAt(step)) == step) {
      guard.startStage();
    }
    StepGuard.Decision decision = guard.judge(step + 1, all.loss(), norm);
    optimizerSeconds = 0; // the step after a skipped one has nothing to tell
    if (decision.verdict() == StepGuard.Verdict.APPLY) {
      double clip = GradientNorm.clippingCoefficient(norm, config.optimizer().gradientClipNorm());
      enter("optimizer");
      long start = System.nanoTime();
      long update = step + 1 - guard.skipped();
      weightsThere =
          shard.update(
              adamW, groups, gradients, weights, collectives, update, learningRate, clip * mean);
      optimizerSeconds = (System.nanoTime() - start) * 1e-9;
      times.optimizer(optimizerSeconds);
      enter("communication");
      forWeights.follow(weightsThere);
    }
    return new StepOutcome(
        all.loss(),
        norm,
        learningRate,
        decision,
        all.substitutes(),
        all.stopWanted(),
        all.work(),
        times);
  }

  /** Hears of the rows from now on. */
  void tell(TrainingListener listener) {
    this.listener = listener;
  }

  /** Says in the rank's record what it does now. */
  void enter(String phase) {
    recorder.step(step, phase);
  }

  /** Steps done since the beginning of the run. */
  long stepsDone() {
    return step;
  }

  private void awaitWeights() {
    weightsThere.await();
    weightsThere = Pending.COMPLETE;
  }

  /** What the passes compute with. */
  ParameterStorage weights() {
    return weights;
  }

  OptimizerShard shard() {
    return shard;
  }

  FlatLayout parameters() {
    return layout.parameters();
  }

  ParameterGroups groups() {
    return groups;
  }

  StepGuard.State guardState() {
    return guard.state();
  }

  ComputeDevice device() {
    return device;
  }

  @Override
  public void close() {
    try (device; // closed from the last to the first, whatever one of them throws
        operators;
        timeline;
        pass) {
      if (rows != null) {
        rows.close();
      }
    }
  }
}
