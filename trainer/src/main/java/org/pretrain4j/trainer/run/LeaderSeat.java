package org.pretrain4j.trainer.run;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.DataChange;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.model.ModelLayout;

/** What rank 0 alone holds: the run's folder, its metrics, and the decision where to begin. */
final class LeaderSeat implements AutoCloseable {
  private final RunFolder folder;
  private final MetricsLog log;
  private final MetricsLog rankLog;
  private final Optional<Checkpoint> checkpoint;
  private final TrainingListener listener;

  private LeaderSeat(
      RunFolder folder,
      long stepsDone,
      Optional<Checkpoint> checkpoint,
      TrainingListener listener) {
    this.listener = listener;
    this.folder = folder;
    this.log = new MetricsLog(folder.path(), stepsDone);
    this.rankLog = new MetricsLog(folder.path(), RankPhases.FILE_NAME, stepsDone);
    this.checkpoint = checkpoint;
  }

  /**
   * Locks the folder and finds the checkpoint to go on from.
   *
   * @param patience how long to wait for another process that has the lock
   * @throws UserException if the run can't begin or go on
   */
  static LeaderSeat take(
      RunConfig config,
      TrainingOptions options,
      CheckpointStore store,
      TrainingListener listener,
      Duration patience) {
    RunFolder folder = RunFolder.open(config, patience);
    try {
      Optional<Checkpoint> checkpoint = find(config, folder, options.resume(), store, listener);
      FlatLayout layout = ModelLayout.of(config.model()).parameters();
      checkpoint.ifPresent(
          found -> ResumeCheck.check(config, found, layout, options.mayChangeData()));
      listener.folder(folder.path());
      folder.write(config);
      long done = checkpoint.map(Checkpoint::step).orElse(0L);
      return new LeaderSeat(folder, done, checkpoint, listener);
    } catch (RuntimeException e) {
      folder.close();
      throw e;
    }
  }

  private static Optional<Checkpoint> find(
      RunConfig config,
      RunFolder folder,
      Resume resume,
      CheckpointStore store,
      TrainingListener listener) {
    boolean used = folder.isUsed() || !store.steps().isEmpty();
    if (resume == Resume.NEVER && used) {
      throw new UserException(
          folder.path()
              + " already holds a run; continue it (--resume auto), delete the folder, or set"
              + " another name");
    }
    Optional<String> mirror = config.checkpoints().mirrorFolder();
    if (resume == Resume.NEVER && mirror.isPresent()) {
      CheckpointSearch.requireNoCopies(mirror.get());
    }
    Optional<Checkpoint> checkpoint =
        CheckpointSearch.newest(store, config.name(), mirror, listener::warning);
    if (resume == Resume.REQUIRED && checkpoint.isEmpty()) {
      throw new UserException(
          "there is no checkpoint in " + store.root() + " to continue (--resume required)");
    }
    return checkpoint;
  }

  Optional<Checkpoint> checkpoint() {
    return checkpoint;
  }

  /** Tells of a change of the data at this start, and writes down all that there were. */
  void record(List<DataChange> changes) {
    if (changes.isEmpty()) {
      return;
    }
    DataChange last = changes.getLast();
    if (checkpoint.isPresent() && last.step() == checkpoint.get().step()) {
      listener.warning(
          "from step " + last.step() + " on with other data: " + String.join(", ", last.what()));
    }
    folder.write(changes);
  }

  MetricsLog log() {
    return log;
  }

  /** What each rank spends its time on. */
  MetricsLog rankLog() {
    return rankLog;
  }

  @Override
  public void close() {
    try (folder;
        rankLog) {
      log.close();
    }
  }
}
