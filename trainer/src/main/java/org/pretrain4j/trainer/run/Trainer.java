package org.pretrain4j.trainer.run;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.model.ModelFlops;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.parallel.InProcessGroup;

/** Runs a configuration from where it stands to its end, or until it is asked to stop. */
public final class Trainer {
  private static final Duration COLLECTIVE_TIMEOUT = Duration.ofMinutes(10);

  private final RunConfig config;
  private final TrainingOptions options;
  private final TrainingListener listener;

  public Trainer(RunConfig config, TrainingOptions options, TrainingListener listener) {
    this.config = config;
    this.options = options;
    this.listener = listener;
  }

  /**
   * Trains.
   *
   * @throws UserException if the run can't begin or go on for a reason that the user can mend
   */
  public TrainingResult run() {
    FlatLayout layout = ModelLayout.of(config.model()).parameters();
    RankTrainer.groupsOf(config, layout);
    CheckpointStore store = CheckpointStore.open(config.checkpoints().folder().orElseThrow());
    try (RunFolder folder = RunFolder.open(config)) {
      Optional<Checkpoint> checkpoint = checkpoint(folder, store);
      checkpoint.ifPresent(found -> ResumeCheck.check(config, found, layout));
      listener.folder(folder.path());
      folder.write(config);
      TokenStream stream = RunData.open(config, new PreparationMessages(listener));
      return train(folder, store, checkpoint, stream);
    }
  }

  private Optional<Checkpoint> checkpoint(RunFolder folder, CheckpointStore store) {
    boolean used = folder.isUsed() || !store.steps().isEmpty();
    if (options.resume() == Resume.NEVER && used) {
      throw new UserException(
          folder.path()
              + " already holds a run; continue it (--resume auto), delete the folder, or set"
              + " another name");
    }
    Optional<Checkpoint> checkpoint = store.newestGood(listener::warning);
    if (options.resume() == Resume.REQUIRED && checkpoint.isEmpty()) {
      throw new UserException(
          "there is no checkpoint in " + store.root() + " to continue (--resume required)");
    }
    return checkpoint;
  }

  private TrainingResult train(
      RunFolder folder,
      CheckpointStore store,
      Optional<Checkpoint> checkpoint,
      TokenStream stream) {
    long firstStep = checkpoint.map(Checkpoint::step).orElse(0L);
    int ranks = config.parallelism().ranks();
    int threads = config.parallelism().threadsOf(Runtime.getRuntime().availableProcessors());
    AtomicReference<TrainingResult> result = new AtomicReference<>();
    try (MetricsLog log = new MetricsLog(folder.path(), firstStep)) {
      InProcessGroup.run(
          ranks,
          COLLECTIVE_TIMEOUT,
          collectives -> {
            ComputeThreads.set(threads);
            try (RankTrainer rank = new RankTrainer(config, collectives, stream, threads)) {
              rank.start(checkpoint);
              StepReport report = StepReport.NONE;
              if (collectives.rank() == 0) {
                double peak = ranks * PeakFlops.measure(rank.manager(), RankTrainer.typeOf(config));
                listener.started(summary(rank, firstStep, peak));
                report =
                    new LeaderReport(
                        config, stream, log, listener, peak, rank.guardState().skipped());
              }
              CheckpointSaver saver =
                  new CheckpointSaver(config, collectives, store, stream, rank, listener);
              TrainingResult own = new RankLoop(config, options.stop(), rank, saver, report).run();
              if (collectives.rank() == 0) {
                result.set(own);
              }
            }
          });
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException("a rank failed", e);
    }
    listener.ended(result.get());
    return result.get();
  }

  private RunSummary summary(RankTrainer rank, long firstStep, double peak) {
    return new RunSummary(
        config.model().parameterCount(),
        config.parallelism().ranks(),
        Math.toIntExact(config.rowsPerStep()),
        firstStep,
        config.totalSteps(),
        config.training().globalBatchTokens(),
        ModelFlops.perToken(config.model(), config.training().sequenceLength()),
        peak,
        rank.groups().table());
  }
}
