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
final class CheckpointSearch {
  private CheckpointSearch() {}

  /**
   * Searches, and takes a copy back into the run's own folder where that is needed.
   *
   * @param warn told in one line about each damaged checkpoint, and about one that is taken back
   * @throws UserException if there are checkpoints but none is good, or if there is none and it
   *     can't be known whether there are copies
   */
  static Optional<Checkpoint> newest(
      CheckpointStore store, Optional<String> mirrorFolder, Consumer<String> warn) {
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
      copy = newerCopy(CheckpointStore.open(mirrorFolder.get()), ownStep, store, warn);
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
      CheckpointStore mirror, long thanStep, CheckpointStore store, Consumer<String> warn) {
    List<Long> copies = mirror.steps();
    if (copies.isEmpty() || copies.getLast() <= thanStep) {
      return Optional.empty();
    }
    Optional<Checkpoint> copy = mirror.newestGood(warn).filter(found -> found.step() > thanStep);
    copy.ifPresent(
        found -> {
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
}
