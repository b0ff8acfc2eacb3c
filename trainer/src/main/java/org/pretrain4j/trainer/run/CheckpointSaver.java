package org.pretrain4j.trainer.run;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.pretrain4j.checkpoints.AsyncCheckpointer;
import org.pretrain4j.checkpoints.CheckpointConfig;
import org.pretrain4j.checkpoints.CheckpointMirror;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.CheckpointWriteException;
import org.pretrain4j.checkpoints.RetentionPolicy;
import org.pretrain4j.checkpoints.StateSource;
import org.pretrain4j.trainer.parallel.Collectives;

/**
 * Saves a run with all its ranks while it goes on: each rank copies its shard and writes it in the
 * background, and rank 0 publishes when all are there. Every method is called by all ranks at the
 * same step.
 */
final class CheckpointSaver implements AutoCloseable {
  /** How long a run that failed holds up its end for the save that is under way. */
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final RunConfig config;
  private final Collectives collectives;
  private final LongWork work;
  private final CheckpointStore store;
  private final OpenedData data;
  private final RankTrainer rank;
  private final TrainingListener listener;
  private final AsyncCheckpointer checkpointer;
  private final Optional<CheckpointMirror> mirror;
  // From the threads in the background to the listener, which hears of all on the run's thread.
  private final Queue<String> warnings = new ConcurrentLinkedQueue<>();
  private CompletableFuture<AsyncCheckpointer.Report> inFlight;
  private double blockedByIt;
  private boolean savedBefore;
  private final Copying copying = new Copying();
  private boolean finished;
  private boolean failed;
  private SaveTimes times = SaveTimes.NONE;

  CheckpointSaver(
      RunConfig config,
      Collectives collectives,
      LongWork work,
      CheckpointStore store,
      OpenedData data,
      RankTrainer rank,
      TrainingListener listener) {
    this.config = config;
    this.collectives = collectives;
    this.work = work;
    this.store = store;
    this.data = data;
    this.rank = rank;
    this.listener = listener;
    CheckpointConfig checkpoints = config.checkpoints();
    byte[] id = UUID.randomUUID().toString().getBytes(StandardCharsets.US_ASCII);
    this.checkpointer =
        new AsyncCheckpointer(
            store,
            new String(collectives.broadcastBytes(id, 0), StandardCharsets.US_ASCII),
            collectives.rank(),
            collectives.worldSize(),
            // A rank whose disk fails says so at the next save; the limit is for one that says
            // nothing.
            new AsyncCheckpointer.Settings(
                stagingBytes(checkpoints, rank), config.parallelism().longWorkTimeout()),
            this::published);
    this.mirror =
        checkpoints
            .mirrorFolder()
            .filter(folder -> collectives.rank() == 0)
            .map(CheckpointStore::open)
            .map(target -> new CheckpointMirror(store, target, warnings::add));
    // What an earlier start has not copied to the end.
    mirror.ifPresent(
        copies -> copies.followInBackground(rank.stepsDone(), checkpoints.retention()));
  }

  private static long stagingBytes(CheckpointConfig config, RankTrainer rank) {
    long shard = rank.shard().sources().values().stream().mapToLong(StateSource::bytes).sum();
    return Math.min(config.stagingBytes(), Math.max(1, shard));
  }

  /** On rank 0, in the background. */
  private void published(long step) {
    RetentionPolicy policy = config.checkpoints().retention();
    try {
      mirror.ifPresentOrElse(
          copies -> copies.retainSource(policy), () -> store.retain(policy, warnings::add));
    } catch (RuntimeException e) { // What is published stays published.
      warnings.add("old checkpoints stay for now: " + e.getMessage());
    }
    mirror.ifPresent(copies -> copies.followInBackground(step, policy));
  }

  /** Whether the save in the background has failed on this rank: then the run must end. */
  boolean hasFailed() {
    return inFlight != null && inFlight.isCompletedExceptionally();
  }

  /**
   * Begins to save; when it returns, the next step may change the values.
   *
   * @throws CheckpointWriteException if this save, or the one before on any rank, can't be written;
   *     what was published before is untouched
   */
  void save(long stepsDone) {
    long start = System.nanoTime();
    rank.enter("checkpoint");
    awaitEarlier();
    inFlight = work.await("copying", () -> copying.during(() -> copy(stepsDone)));
    savedBefore = true;
    blockedByIt = block(start);
  }

  /** A rank whose disk fails at once tells the others as one whose disk fails later. */
  private CompletableFuture<AsyncCheckpointer.Report> copy(long stepsDone) {
    try {
      return checkpointer.save(
          rank.parameters(),
          rank.shard().ranges(),
          rank.shard().sources(),
          SavedState.of(config, data, stepsDone, rank.guardState()));
    } catch (CheckpointWriteException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  /**
   * Waits until all is saved and, where copies are wanted, copied. A run that is stopped before its
   * last step does not wait for copies: the time that it is given may be short, and its next start
   * goes on with them.
   *
   * @throws CheckpointWriteException if the last save can't be written on any rank
   */
  void finish() {
    if (finished) {
      return;
    }
    long start = System.nanoTime();
    rank.enter("checkpoint");
    awaitEarlier();
    blockedByIt += block(start);
    collect();
    if (rank.stepsDone() < config.totalSteps()) {
      mirror.ifPresent(CheckpointMirror::giveUp);
    } else {
      work.await("copying to the mirror", this::closeMirror);
    }
    drainWarnings();
    finished = true;
  }

  private Void closeMirror() {
    mirror.ifPresent(CheckpointMirror::close);
    return null;
  }

  private void awaitEarlier() {
    if (savedBefore) {
      agree(checkpointer::awaitShard);
      agree(checkpointer::await);
      collect();
    }
  }

  /** If a rank fails all do, so that none waits for a shard that will never come. */
  private void agree(Runnable part) {
    CheckpointWriteException failure = work.await("saving", () -> failureOf(part));
    long[] failures = collectives.allGatherLong(failure == null ? 0 : 1);
    for (int other = 0; other < failures.length; other++) {
      if (failures[other] != 0) {
        failed = true;
        throw failure == null ? CheckpointWriteException.onRank(other) : failure;
      }
    }
  }

  private static CheckpointWriteException failureOf(Runnable part) {
    try {
      part.run();
      return null;
    } catch (CheckpointWriteException e) {
      return e;
    }
  }

  private double block(long start) {
    double seconds = (System.nanoTime() - start) * 1e-9;
    times = times.plus(new SaveTimes(seconds, 0, 0));
    return seconds;
  }

  /** What saving has cost since the last call. */
  SaveTimes takeTimes() {
    collect();
    drainWarnings();
    SaveTimes taken = times;
    times = SaveTimes.NONE;
    return taken;
  }

  /** Takes the report of a save that has ended. */
  private void collect() {
    if (inFlight == null || !inFlight.isDone() || inFlight.isCompletedExceptionally()) {
      return;
    }
    AsyncCheckpointer.Report report = inFlight.join();
    inFlight = null;
    SaveTimes own = new SaveTimes(0, report.writeSeconds(), report.publishSeconds());
    times = times.plus(own);
    if (collectives.rank() == 0) {
      listener.saved(report.step(), own.plus(new SaveTimes(blockedByIt, 0, 0)));
    }
  }

  private void drainWarnings() {
    for (String warning = warnings.poll(); warning != null; warning = warnings.poll()) {
      listener.warning(warning);
    }
  }

  /** After a failure the save that is under way is completed if that is soon done. */
  @Override
  public void close() {
    if (finished) {
      checkpointer.close();
      return;
    }
    copying.end(failed ? Duration.ZERO : PATIENCE);
    mirror.ifPresent(CheckpointMirror::giveUp);
    Optional<String> problem = checkpointer.close(failed ? Duration.ZERO : PATIENCE);
    if (problem.isPresent() && !failed) {
      listener.warning("the last checkpoint was not completed: " + problem.get());
    }
    drainWarnings();
  }
}
