package org.pretrain4j.trainer.run;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.device.Cores;
import org.pretrain4j.trainer.device.DeviceChoice;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.RankThreads;
import org.pretrain4j.trainer.parallel.SoloCollectives;
import org.pretrain4j.trainer.parallel.backend.Backend;
import org.pretrain4j.trainer.parallel.backend.LocalRanks;
import org.pretrain4j.trainer.parallel.backend.Membership;
import org.pretrain4j.trainer.parallel.cluster.World;
import org.pretrain4j.trainer.parallel.faults.Supervisor;

/**
 * Runs a configuration from where it stands to its end, or until it is asked to stop.
 *
 * <p>Where a launcher announces several processes, this one holds one rank of them, or some as its
 * threads; otherwise the configuration's ranks are threads of this process.
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
    LocalRanks ranks = new LocalRanks(world, config.parallelism().ranksOf(world));
    int last = world.rankOf(ranks.count() - 1, ranks.count()).localRank();
    DeviceChoice device = ComputeDevice.resolve(config.training().device(), last, environment);
    Backend backend = config.parallelism().collectives().choose(world, memoryOf(device));
    // A rank whose supervisor was killed must not go on beside those of the next one.
    Supervisor.endWith(environment, () -> Runtime.getRuntime().halt(KILLED));
    try {
      boolean alone = world.isSingle() && (device == DeviceChoice.CPU || ranks.count() == 1);
      return alone ? inProcess(ranks, device, store) : asMembers(ranks, device, backend, store);
    } catch (LongWork.Stopped e) {
      List<Long> steps = store.steps();
      return new TrainingResult(steps.isEmpty() ? 0 : steps.getLast(), false, Double.NaN);
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException("a rank failed", e);
    }
  }

  private static Backend.Memory memoryOf(DeviceChoice device) {
    return device == DeviceChoice.CUDA ? Backend.Memory.GPU : Backend.Memory.HOST;
  }

  /** Ranks of a single process, which share its memory, or one alone. */
  private TrainingResult inProcess(LocalRanks local, DeviceChoice device, CheckpointStore store)
      throws Exception {
    ParallelismConfig parallelism = config.parallelism();
    int ranks = local.count();
    int threads = parallelism.threadsOf(Cores.available(), ranks);
    AtomicReference<TrainingResult> result = new AtomicReference<>();
    try (LeaderSeat seat =
            LeaderSeat.take(config, options, store, listener, patience(local.process()));
        RankSigns signs = RankSigns.start(config, environment, 0, ranks, ranks)) {
      AtomicReference<OpenedData> data = new AtomicReference<>();
      LongWork work = longWork(signs.watch(new SoloCollectives()));
      prepare(work, seat.checkpoint(), true, data);
      InProcessGroup.run(
          ranks,
          parallelism.collectiveTimeout(),
          engine -> {
            Optional<LeaderSeat> mine = engine.rank() == 0 ? Optional.of(seat) : Optional.empty();
            try {
              // A rank with a GPU is alone here, and the engine works in the host's memory.
              Collectives collectives =
                  signs.watch(device == DeviceChoice.CUDA ? new SoloCollectives() : engine);
              RankRun rank =
                  rankRun(signs, collectives, mine, store, device, local.process(), threads);
              TrainingResult own = rank.train(rank.agree(), data.get());
              if (engine.rank() == 0) {
                result.set(own);
              }
            } catch (CollectiveException e) {
              signs.describe(engine.rank(), e);
              throw e;
            }
          });
    }
    listener.ended(result.get());
    return result.get();
  }

  /** Ranks of one process among others, or with a GPU each. */
  private TrainingResult asMembers(
      LocalRanks ranks, DeviceChoice device, Backend backend, CheckpointStore store)
      throws Exception {
    ParallelismConfig parallelism = config.parallelism();
    int ranksOfMachine = World.localRanks(environment) * ranks.count();
    int threads = parallelism.threadsOf(Cores.available(), ranksOfMachine);
    List<Membership> members =
        ranks.join(
            backend,
            memoryOf(device),
            config.name() + "-" + RankSigns.attempt(environment),
            parallelism.joinTimeout(),
            parallelism.collectiveTimeout(),
            environment);
    AtomicReference<TrainingResult> result = new AtomicReference<>();
    AtomicReference<OpenedData> data = new AtomicReference<>();
    int first = ranks.first();
    try (RankSigns signs = signs(ranks, members)) {
      RankThreads.run(
          first,
          ranks.count(),
          () -> {},
          rank -> {
            try (Membership member = members.get(rank - first)) {
              Collectives collectives = signs.watch(member.collectives());
              TrainingResult own =
                  asMember(ranks, signs, collectives, data, store, device, threads);
              if (rank == first) {
                result.set(own);
              }
            }
          });
    }
    if (first == 0) {
      listener.ended(result.get());
    }
    return result.get();
  }

  private RankSigns signs(LocalRanks ranks, List<Membership> members) {
    try {
      return RankSigns.start(config, environment, ranks.first(), ranks.count(), ranks.worldSize());
    } catch (RuntimeException e) {
      LocalRanks.leave(members, e.getMessage());
      throw e;
    }
  }

  /**
   * One rank.
   *
   * @param data that the ranks of this process share, opened by the first of them
   */
  private TrainingResult asMember(
      LocalRanks ranks,
      RankSigns signs,
      Collectives collectives,
      AtomicReference<OpenedData> data,
      CheckpointStore store,
      DeviceChoice device,
      int threads)
      throws InterruptedException {
    boolean leads = collectives.rank() == 0;
    boolean opens = collectives.rank() == ranks.first();
    LongWork work = longWork(collectives);
    try (LeaderSeat seat =
        work.await(
            "finding the checkpoint",
            () ->
                leads
                    ? LeaderSeat.take(config, options, store, listener, patience(ranks.process()))
                    : null)) {
      int thread = collectives.rank() - ranks.first();
      World place = ranks.process().rankOf(thread, ranks.count());
      RankRun rank =
          rankRun(signs, collectives, Optional.ofNullable(seat), store, device, place, threads);
      Optional<Checkpoint> checkpoint = rank.agree();
      // Rank 0 tokenizes what is not tokenized yet; the others find it done.
      prepare(work, checkpoint, leads, data);
      prepare(work, checkpoint, opens && !leads, data);
      return rank.train(checkpoint, data.get());
    } catch (LongWork.Stopped e) {
      throw e; // All ranks leave alike: nobody is to be told of a failure.
    } catch (RuntimeException | InterruptedException | Error e) {
      signs.describe(collectives.rank(), e);
      collectives.abort(String.valueOf(e.getMessage()));
      throw e;
    }
  }

  private RankRun rankRun(
      RankSigns signs,
      Collectives collectives,
      Optional<LeaderSeat> seat,
      CheckpointStore store,
      DeviceChoice device,
      World place,
      int threads) {
    return new RankRun(
        config,
        options,
        listener,
        signs,
        collectives,
        seat,
        store,
        longWork(collectives),
        () -> ComputeDevice.open(device, place.localRank(), threads, environment));
  }

  /** How long to wait for a process before this one that has not quite ended yet. */
  private Duration patience(World world) {
    boolean launched = world.source() != World.Source.NONE || RankSigns.attempt(environment) > 1;
    return launched ? config.parallelism().joinTimeout() : Duration.ZERO;
  }

  private LongWork longWork(Collectives collectives) {
    return new LongWork(collectives, options.stop(), config.parallelism().longWorkTimeout());
  }

  /**
   * The data, prepared where need be; where it is not this rank's turn, another one's is awaited.
   */
  private void prepare(
      LongWork work,
      Optional<Checkpoint> checkpoint,
      boolean mine,
      AtomicReference<OpenedData> data) {
    DataHistory history = new DataHistory(config, checkpoint, options.mayChangeData());
    PreparationMessages messages = new PreparationMessages(listener, options.stop(), work);
    work.awaitUnlessStopped(
        "preparing data",
        () -> {
          if (mine) {
            data.set(RunData.open(config, history, messages));
          }
          return null;
        });
  }
}
