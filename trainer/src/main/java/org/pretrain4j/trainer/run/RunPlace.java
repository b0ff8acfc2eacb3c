package org.pretrain4j.trainer.run;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/**
 * Finds what belongs to a run again, from whatever folder a person is in. Relative paths of a
 * configuration are meant from where the run was started.
 */
public final class RunPlace {
  private static final String INSIDE = "checkpoints";

  private RunPlace() {}

  /**
   * The checkpoints of a run's folder: inside of it, or where its configuration puts them.
   *
   * @return the place itself if it is no run's folder
   * @throws UserException if it can't be read
   */
  public static Path checkpointsAt(String place) {
    Storage storage = new Storage(new Configuration());
    Path folder = storage.path(place);
    try {
      Path inside = new Path(folder, INSIDE);
      if (storage.exists(inside)) {
        return inside;
      }
      Path file = new Path(folder, RunFolder.CONFIG);
      if (!storage.exists(file)) {
        return folder;
      }
      String yaml = new String(storage.read(file), StandardCharsets.UTF_8);
      RunConfig run = ConfigurationReader.parse(RunConfig.class, yaml, file.toString());
      return resolve(
          run.checkpoints().folder().orElseThrow(), folder, run.runFolder().orElseThrow());
    } catch (IOException e) {
      throw Storage.failed("read", folder, e);
    }
  }

  /**
   * The tokenizer of the run that saved a checkpoint.
   *
   * @param run the configuration in the checkpoint
   */
  public static Path tokenizer(Checkpoint checkpoint, RunConfig run) {
    return resolve(
        run.tokenizer().path(),
        checkpoint.folder().getParent(),
        run.checkpoints().folder().orElseThrow());
  }

  /**
   * @param found a folder of the run
   * @param configured what the configuration calls it
   */
  private static Path resolve(String path, Path found, String configured) {
    Storage storage = new Storage(new Configuration());
    if (isRelative(path)) {
      Optional<Path> there = start(found, configured).map(start -> new Path(start, path));
      try {
        if (there.isPresent() && storage.exists(there.get())) {
          return there.get();
        }
      } catch (IOException e) {
        throw Storage.failed("read", there.get(), e);
      }
    }
    return storage.path(path);
  }

  private static boolean isRelative(String path) {
    return !new Path(path).isAbsolute() && new Path(path).toUri().getScheme() == null;
  }

  /** Where the run was started: what is left of a path without the names that are configured. */
  private static Optional<Path> start(Path found, String configured) {
    if (!isRelative(configured)) {
      return Optional.empty();
    }
    List<String> names =
        Arrays.stream(configured.split("/"))
            .filter(name -> !name.isEmpty() && !name.equals("."))
            .toList();
    Path start = found;
    for (String name : names.reversed()) {
      if (start == null || !start.getName().equals(name)) {
        return Optional.empty();
      }
      start = start.getParent();
    }
    return Optional.ofNullable(start);
  }
}
