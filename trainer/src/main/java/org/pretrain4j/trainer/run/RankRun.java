package org.pretrain4j.trainer.run;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.function.Supplier;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.model.ModelFlops;
import org.pretrain4j.trainer.parallel.Collectives;

/** One rank's way through a run, once it has joined the others; the same for every engine. */
final class RankRun {
  private final RunConfig config;
  private final TrainingOptions options;
  private final TrainingListener listener;
  private final RankSigns signs;
  private final Collectives collectives;
  private final Optional<LeaderSeat> seat;
  private final CheckpointStore store;
  private final LongWork work;
  private final Supplier<ComputeDevice> device;

  /**
   * @param collectives as {@code signs} watches them
   * @param seat of rank 0
   * @param work of this rank outside of steps
   * @param device opens what this rank computes on
   */
  RankRun(
      RunConfig config,
      TrainingOptions options,
      TrainingListener listener,
      RankSigns signs,
      Collectives collectives,
      Optional<LeaderSeat> seat,
      CheckpointStore store,
      LongWork work,
      Supplier<ComputeDevice> device) {
    this.config = config;
    this.options = options;
    this.listener = listener;
    this.signs = signs;
    this.collectives = collectives;
    this.seat = seat;
    this.store = store;
    this.work = work;
    this.device = device;
  }

  /** From this checkpoint, or from the beginning, to the end. */
  TrainingResult train(Optional<Checkpoint> checkpoint, OpenedData data)
      throws InterruptedException {
    ComputeDevice own = device.get();
    ComputeThreads.set(own.pool().threads());
    try (RankTrainer rank = new RankTrainer(config, collectives, signs, data.stream(), own)) {
      rank.tell(listener);
      rank.start(checkpoint, work);
      try (CheckpointSaver saver =
          new CheckpointSaver(config, collectives, work, store, data, rank, listener)) {
        StepReport report =
            seat.map(taken -> leaderReport(taken, rank, data)).orElse(StepReport.NONE);
        return loop(rank, saver, report);
      }
    }
  }

  private TrainingResult loop(RankTrainer rank, CheckpointSaver saver, StepReport report)
      throws InterruptedException {
    Optional<RunEvaluation> evaluation =
        RunEvaluation.of(config, options.stop(), collectives, rank, listener);
    try {
      return new RankLoop(config, options.stop(), rank, saver, evaluation, report).run();
    } finally {
      evaluation.ifPresent(RunEvaluation::close);
    }
  }

  /** All ranks go on from the checkpoint that rank 0 found. */
  Optional<Checkpoint> agree() {
    Optional<Checkpoint> found = seat.flatMap(LeaderSeat::checkpoint);
    String name = found.map(checkpoint -> checkpoint.folder().getName()).orElse("");
    byte[] agreed = collectives.broadcastBytes(name.getBytes(StandardCharsets.US_ASCII), 0);
    if (seat.isPresent()) {
      return found;
    }
    String text = new String(agreed, StandardCharsets.US_ASCII);
    return text.isEmpty() ? Optional.empty() : Optional.of(store.openFolder(text));
  }

  private StepReport leaderReport(LeaderSeat taken, RankTrainer rank, OpenedData data) {
    taken.record(data.changes());
    double peak =
        collectives.worldSize() * PeakFlops.measure(rank.device(), RankTrainer.typeOf(config));
    listener.started(
        new RunSummary(
            config.model().parameterCount(),
            collectives.worldSize(),
            Math.toIntExact(config.rowsPerStep()),
            rank.stepsDone(),
            config.totalSteps(),
            config.training().globalBatchTokens(),
            ModelFlops.perToken(config.model(), config.training().sequenceLength()),
            peak,
            rank.groups().table()));
    return new LeaderReport(
        config, collectives.worldSize(), data, taken, listener, peak, rank.guardState().skipped());
  }
}
