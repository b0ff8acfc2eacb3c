package org.pretrain4j.launch;

import java.util.concurrent.Callable;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.configuration.Nearest;
import org.pretrain4j.configuration.UserException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Takes a checkpoint's name away. */
@Command(name = "unpin", header = "Takes a name away from the checkpoint that has it.")
final class CheckpointsUnpinCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "FOLDER",
      description = "A run's folder, or one of checkpoints.")
  private String folder;

  @Parameters(index = "1", paramLabel = "TAG", description = "The name.")
  private String tag;

  @Override
  public Integer call() {
    CheckpointStore store = CheckpointFolder.filledStoreAt(folder);
    if (!store.tags().containsKey(tag)) {
      throw new UserException(
          "no checkpoint in %s is pinned as '%s'%s"
              .formatted(store.root(), tag, Nearest.hint(tag, store.tags().keySet())));
    }
    store.unpin(tag);
    return ExitCode.OK.number();
  }
}
