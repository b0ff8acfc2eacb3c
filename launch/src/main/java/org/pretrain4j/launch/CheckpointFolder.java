package org.pretrain4j.launch;

import java.io.IOException;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.trainer.run.RunPlace;

/**
 * The folder of one checkpoint, as a person names it.
 *
 * @param store the folder around it
 * @param step from its name
 */
record CheckpointFolder(String store, long step) {
  private static final Pattern NAME = Pattern.compile("step-([0-9]{10,18})");

  /** Empty if the last part of the path is not the name of a checkpoint. */
  static Optional<CheckpointFolder> of(Path path) {
    Matcher matcher = NAME.matcher(path.getName());
    return matcher.matches()
        ? Optional.of(
            new CheckpointFolder(
                Optional.ofNullable(path.getParent()).orElse(new Path(".")).toString(),
                Long.parseLong(matcher.group(1))))
        : Optional.empty();
  }

  /**
   * Opens the checkpoint at a path.
   *
   * @throws UserException if there is none
   */
  static Checkpoint open(String path) {
    return of(new Path(path))
        .orElseThrow(
            () ->
                new UserException(
                    path + " is no checkpoint, expected a folder such as step-0000000100"))
        .open();
  }

  /**
   * The checkpoints of a run's folder (inside of it, or where its configuration says), or those of
   * a folder that holds nothing else.
   *
   * @throws UserException if there is no such folder
   */
  static CheckpointStore storeAt(String place) {
    Storage storage = new Storage(new Configuration());
    try {
      if (!storage.exists(storage.path(place))) {
        throw new UserException(place + " does not exist; check the path");
      }
    } catch (IOException e) {
      throw new UserException(place + " can't be read: " + e.getMessage(), e);
    }
    return CheckpointStore.open(RunPlace.checkpointsAt(place).toString());
  }

  /**
   * As the other one, with at least one checkpoint.
   *
   * @throws UserException also if there is none
   */
  static CheckpointStore filledStoreAt(String place) {
    CheckpointStore store = storeAt(place);
    if (store.steps().isEmpty()) {
      throw new UserException(place + " holds no checkpoints; check the path");
    }
    return store;
  }

  Checkpoint open() {
    return CheckpointStore.open(store).open(step);
  }
}
