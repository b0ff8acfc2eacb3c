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
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.model.ModelFlops;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.backend.Backend;
import org.pretrain4j.trainer.parallel.backend.Membership;
import org.pretrain4j.trainer.parallel.cluster.World;

/**
 * Runs a configuration from where it stands to its end, or until it is asked to stop.
 *
 * <p>Where a launcher announces several processes, this one is a single rank of them; otherwise the
 * configuration's ranks are threads of this process.
 */
public final class Trainer {
  private static final Duration COLLECTIVE_TIMEOUT = Duration.ofMinutes(10);
  private static final Duration JOINING_TIMEOUT = Duration.ofMinutes(10);

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
    try {
      return world.isSingle() ? asThreads(store) : asProcess(world, store);
    } catch (PreparationMessages.Stopped e) {
      List<Long> steps = store.steps();
      return new TrainingResult(steps.isEmpty() ? 0 : steps.getLast(), false, Double.NaN);
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException("a rank failed", e);
    }
  }

  private TrainingResult asThreads(CheckpointStore store) throws Exception {
    int threads = config.parallelism().threadsOf(Runtime.getRuntime().availableProcessors());
    AtomicReference<TrainingResult> result = new AtomicReference<>();
    try (LeaderSeat seat = LeaderSeat.take(config, options.resume(), store, listener)) {
      TokenStream stream = openData();
      InProcessGroup.run(
          config.parallelism().ranks(),
          COLLECTIVE_TIMEOUT,
          collectives -> {
            Optional<LeaderSeat> mine =
                collectives.rank() == 0 ? Optional.of(seat) : Optional.empty();
            TrainingResult own = train(collectives, mine, store, stream, threads);
            if (collectives.rank() == 0) {
              result.set(own);
            }
          });
    }
    listener.ended(result.get());
    return result.get();
  }

  private TrainingResult asProcess(World world, CheckpointStore store) throws InterruptedException {
    int threads = config.parallelism().computeThreads();
    if (threads == 0) {
      threads = Runtime.getRuntime().availableProcessors();
    }
    String start = config.name() + "-" + environment.getOrDefault("PRETRAIN4J_ATTEMPT", "1");
    try (Membership membership =
        Backend.AUTO.join(
            world, Backend.Memory.HOST, start, JOINING_TIMEOUT, COLLECTIVE_TIMEOUT, environment)) {
      Collectives collectives = membership.collectives();
      try (LeaderSeat seat =
          world.rank() == 0 ? LeaderSeat.take(config, options.resume(), store, listener) : null) {
        // Rank 0 tokenizes what is not tokenized yet; the others find it done.
        TokenStream stream = world.rank() == 0 ? openData() : null;
        collectives.barrier();
        stream = stream == null ? openData() : stream;
        TrainingResult result =
            train(collectives, Optional.ofNullable(seat), store, stream, threads);
        if (seat != null) {
          listener.ended(result);
        }
        return result;
      } catch (RuntimeException | InterruptedException | Error e) {
        collectives.abort(String.valueOf(e.getMessage()));
        throw e;
      }
    }
  }

  private TokenStream openData() {
    return RunData.open(config, new PreparationMessages(listener, options.stop()));
  }

  private TrainingResult train(
      Collectives collectives,
      Optional<LeaderSeat> seat,
      CheckpointStore store,
      TokenStream stream,
      int threads)
      throws InterruptedException {
    ComputeThreads.set(threads);
    Optional<Checkpoint> checkpoint = agree(collectives, seat, store);
    checkpoint.ifPresent(found -> ResumeCheck.checkData(found, stream));
    try (RankTrainer rank = new RankTrainer(config, collectives, stream, threads)) {
      rank.start(checkpoint);
      try (CheckpointSaver saver =
          new CheckpointSaver(config, collectives, store, stream, rank, listener)) {
        StepReport report =
            seat.map(taken -> leaderReport(taken, collectives, rank, stream))
                .orElse(StepReport.NONE);
        return new RankLoop(config, options.stop(), rank, saver, report).run();
      }
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
      LeaderSeat seat, Collectives collectives, RankTrainer rank, TokenStream stream) {
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
        config, stream, seat.log(), listener, peak, rank.guardState().skipped());
  }
}
