package org.pretrain4j.launch;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.configuration.UserException;

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

  Checkpoint open() {
    return CheckpointStore.open(store).open(step);
  }
}
