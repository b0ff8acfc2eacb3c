package org.pretrain4j.trainer.run;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.model.ModelFlops;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.SoloCollectives;
import org.pretrain4j.trainer.parallel.backend.Backend;
import org.pretrain4j.trainer.parallel.backend.Membership;
import org.pretrain4j.trainer.parallel.cluster.World;
import org.pretrain4j.trainer.parallel.faults.Supervisor;

/**
 * Runs a configuration from where it stands to its end, or until it is asked to stop.
 *
 * <p>Where a launcher announces several processes, this one is a single rank of them; otherwise the
 * configuration's ranks are threads of this process.
 */
public final class Trainer {
  /** Exit code of a process that SIGKILL ended, as its supervisor was. */
  private static final int KILLED = 137;

  private final RunConfig config;
  private final TrainingOptions options;
  private final TrainingListener listener;
  private final Map<String, String> environment;

  public Trainer(RunConfig config, TrainingOptions options, TrainingListener listener) {
    this(config, options, listener, System.getenv());
  }

  /**
   * @param environment where a launcher says which rank of which world this process is
   */
  public Trainer(
      RunConfig config,
      TrainingOptions options,
      TrainingListener listener,
      Map<String, String> environment) {
    this.config = config;
    this.options = options;
    this.listener = listener;
    this.environment = environment;
  }

  /**
   * Trains.
   *
   * @throws UserException if the run can't begin or go on for a reason that the user can mend
   */
  public TrainingResult run() {
    RankTrainer.groupsOf(config, ModelLayout.of(config.model()).parameters());
    CheckpointStore store = CheckpointStore.open(config.checkpoints().folder().orElseThrow());
    World world = World.discover(environment);
    Backend backend = config.parallelism().collectives().choose(world, Backend.Memory.HOST);
    // A rank whose supervisor was killed must not go on beside those of the next one.
    Supervisor.endWith(environment, () -> Runtime.getRuntime().halt(KILLED));
    try {
      return world.isSingle() ? asThreads(world, store) : asProcess(world, backend, store);
    } catch (LongWork.Stopped e) {
      List<Long> steps = store.steps();
      return new TrainingResult(steps.isEmpty() ? 0 : steps.getLast(), false, Double.NaN);
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException("a rank failed", e);
    }
  }

  private TrainingResult asThreads(World world, CheckpointStore store) throws Exception {
    ParallelismConfig parallelism = config.parallelism();
    // A launcher that announces a single process means one rank.
    int ranks = world.source() == World.Source.NONE ? parallelism.ranks() : 1;
    int threads = parallelism.threadsOf(Runtime.getRuntime().availableProcessors(), ranks);
    AtomicReference<TrainingResult> result = new AtomicReference<>();
    try (LeaderSeat seat = LeaderSeat.take(config, options, store, listener, patience(world));
        RankSigns signs = RankSigns.start(config, environment, 0, ranks, ranks)) {
      OpenedData data =
          prepare(longWork(signs.watch(new SoloCollectives())), seat.checkpoint(), true);
      InProcessGroup.run(
          ranks,
          parallelism.collectiveTimeout(),
          engine -> {
            Optional<LeaderSeat> mine = engine.rank() == 0 ? Optional.of(seat) : Optional.empty();
            try {
              Collectives collectives = signs.watch(engine);
              Optional<Checkpoint> checkpoint = agree(collectives, mine, store);
              TrainingResult own =
                  train(signs, collectives, mine, store, checkpoint, data, threads);
              if (engine.rank() == 0) {
                result.set(own);
              }
            } catch (CollectiveException e) {
              signs.describe(e);
              throw e;
            }
          });
    }
    listener.ended(result.get());
    return result.get();
  }

  private TrainingResult asProcess(World world, Backend backend, CheckpointStore store)
      throws InterruptedException {
    ParallelismConfig parallelism = config.parallelism();
    int threads =
        parallelism.threadsOf(
            Runtime.getRuntime().availableProcessors(), World.localRanks(environment));
    String start = config.name() + "-" + RankSigns.attempt(environment);
    try (Membership membership =
            backend.join(
                world,
                Backend.Memory.HOST,
                start,
                parallelism.joinTimeout(),
                parallelism.collectiveTimeout(),
                environment);
        RankSigns signs =
            RankSigns.start(config, environment, world.rank(), 1, world.worldSize())) {
      Collectives collectives = signs.watch(membership.collectives());
      boolean leads = world.rank() == 0;
      LongWork work = longWork(collectives);
      try (LeaderSeat seat =
          work.await(
              "finding the checkpoint",
              () ->
                  leads
                      ? LeaderSeat.take(config, options, store, listener, patience(world))
                      : null)) {
        Optional<LeaderSeat> mine = Optional.ofNullable(seat);
        Optional<Checkpoint> checkpoint = agree(collectives, mine, store);
        // Rank 0 tokenizes what is not tokenized yet; the others find it done.
        OpenedData prepared = prepare(work, checkpoint, leads);
        OpenedData found = prepare(work, checkpoint, !leads);
        TrainingResult result =
            train(signs, collectives, mine, store, checkpoint, leads ? prepared : found, threads);
        if (leads) {
          listener.ended(result);
        }
        return result;
      } catch (LongWork.Stopped e) {
        throw e; // All ranks leave alike: nobody is to be told of a failure.
      } catch (RuntimeException | InterruptedException | Error e) {
        signs.describe(e);
        collectives.abort(String.valueOf(e.getMessage()));
        throw e;
      }
    }
  }

  /** How long to wait for a process before this one that has not quite ended yet. */
  private Duration patience(World world) {
    boolean launched = world.source() != World.Source.NONE || RankSigns.attempt(environment) > 1;
    return launched ? config.parallelism().joinTimeout() : Duration.ZERO;
  }

  private LongWork longWork(Collectives collectives) {
    return new LongWork(collectives, options.stop(), config.parallelism().longWorkTimeout());
  }

  /** The data, prepared where need be; null where it is not this rank's turn. */
  private OpenedData prepare(LongWork work, Optional<Checkpoint> checkpoint, boolean mine) {
    DataHistory history = new DataHistory(config, checkpoint, options.mayChangeData());
    PreparationMessages messages = new PreparationMessages(listener, options.stop(), work);
    return work.awaitUnlessStopped(
        "preparing data", () -> mine ? RunData.open(config, history, messages) : null);
  }

  private TrainingResult train(
      RankSigns signs,
      Collectives collectives,
      Optional<LeaderSeat> seat,
      CheckpointStore store,
      Optional<Checkpoint> checkpoint,
      OpenedData data,
      int threads)
      throws InterruptedException {
    ComputeThreads.set(threads);
    try (RankTrainer rank = new RankTrainer(config, collectives, signs, data.stream(), threads)) {
      rank.tell(listener);
      rank.start(checkpoint, longWork(collectives));
      try (CheckpointSaver saver =
          new CheckpointSaver(
              config, collectives, longWork(collectives), store, data, rank, listener)) {
        StepReport report =
            seat.map(taken -> leaderReport(taken, collectives, rank, data)).orElse(StepReport.NONE);
        return loop(collectives, rank, saver, report);
      }
    }
  }

  private TrainingResult loop(
      Collectives collectives, RankTrainer rank, CheckpointSaver saver, StepReport report)
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
  private static Optional<Checkpoint> agree(
      Collectives collectives, Optional<LeaderSeat> seat, CheckpointStore store) {
    Optional<Checkpoint> found = seat.flatMap(LeaderSeat::checkpoint);
    String step = found.map(checkpoint -> Long.toString(checkpoint.step())).orElse("");
    byte[] agreed = collectives.broadcastBytes(step.getBytes(StandardCharsets.US_ASCII), 0);
    if (seat.isPresent()) {
      return found;
    }
    String text = new String(agreed, StandardCharsets.US_ASCII);
    return text.isEmpty() ? Optional.empty() : Optional.of(store.open(Long.parseLong(text)));
  }

  private StepReport leaderReport(
      LeaderSeat seat, Collectives collectives, RankTrainer rank, OpenedData data) {
    seat.record(data.changes());
    double peak =
        collectives.worldSize() * PeakFlops.measure(rank.manager(), RankTrainer.typeOf(config));
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
        config,
        collectives.worldSize(),
        data,
        seat.log(),
        listener,
        peak,
        rank.guardState().skipped());
  }
}
