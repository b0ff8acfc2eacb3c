package org.pretrain4j.trainer.run;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointMirror;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.configuration.UserException;

/**
 * Finds the checkpoint to go on from: the newest good one of the run's own folder, or of the folder
 * of its copies where that has a newer one, because the run's own disk was lost or damaged.
 */
public final class CheckpointSearch {
  private CheckpointSearch() {}

  /**
   * A run that begins must find no copies: it would go on from them, and they would stay its own.
   *
   * @throws UserException if the folder of copies holds any, or can't be looked at
   */
  public static void requireNoCopies(String mirrorFolder) {
    CheckpointStore mirror = CheckpointStore.open(mirrorFolder);
    if (!mirror.steps().isEmpty()) {
      throw new UserException(
          "%s already holds checkpoints; continue their run (--resume auto), delete them, or set another checkpoints.mirror_folder"
              .formatted(mirror.root()));
    }
  }

  /**
   * Searches, and takes a copy back into the run's own folder where that is needed.
   *
   * @param name of the run; copies of another one are not taken
   * @param warn told in one line about each damaged checkpoint, and about one that is taken back
   * @throws UserException if there are checkpoints but none is good, or if there is none and the
   *     copies are those of another run or can't be looked at
   */
  static Optional<Checkpoint> newest(
      CheckpointStore store, String name, Optional<String> mirrorFolder, Consumer<String> warn) {
    if (mirrorFolder.isEmpty()) {
      return store.newestGood(warn);
    }
    Optional<Checkpoint> own = Optional.empty();
    UserException noneGood = null;
    try {
      own = store.newestGood(warn);
    } catch (UserException e) {
      noneGood = e;
    }
    long ownStep = own.map(Checkpoint::step).orElse(-1L);
    Optional<Checkpoint> copy;
    try {
      copy = newerCopy(CheckpointStore.open(mirrorFolder.get()), name, ownStep, store, warn);
    } catch (UserException e) {
      if (own.isEmpty()) {
        throw noneGood == null ? e : noneGood;
      }
      warn.accept("the copies can't be looked at: " + e.getMessage());
      return own;
    }
    if (own.isEmpty() && copy.isEmpty() && noneGood != null) {
      throw noneGood;
    }
    return copy.isPresent() ? copy : own;
  }

  private static Optional<Checkpoint> newerCopy(
      CheckpointStore mirror,
      String name,
      long thanStep,
      CheckpointStore store,
      Consumer<String> warn) {
    List<Long> copies = mirror.steps();
    if (copies.isEmpty() || copies.getLast() <= thanStep) {
      return Optional.empty();
    }
    Optional<Checkpoint> copy = mirror.newestGood(warn).filter(found -> found.step() > thanStep);
    copy.ifPresent(
        found -> {
          requireSameRun(found, name);
          warn.accept("the checkpoint is taken back from its copy " + found.folder());
          try (CheckpointMirror back = new CheckpointMirror(mirror, store, warn)) {
            back.copyAnew(found.step());
          }
          mirror
              .tags()
              .forEach(
                  (tag, step) -> {
                    if (step == found.step()) {
                      store.pin(step, tag);
                    }
                  });
        });
    return copy.map(found -> store.open(found.step()));
  }

  private static void requireSameRun(Checkpoint copy, String name) {
    String theirs = ResumeCheck.configurationOf(copy).name();
    if (!theirs.equals(name)) {
      throw new UserException(
          "%s is a checkpoint of the run '%s', not of '%s'; set another checkpoints.mirror_folder"
              .formatted(copy.folder(), theirs, name));
    }
  }
}
