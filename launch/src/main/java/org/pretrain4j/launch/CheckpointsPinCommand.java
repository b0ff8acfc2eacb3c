package org.pretrain4j.launch;

import java.util.concurrent.Callable;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Gives a checkpoint a name under which it is never deleted. */
@Command(
    name = "pin",
    header = "Gives a checkpoint a name; while it has one, no rule deletes it.",
    description = "A name that another checkpoint of the folder has moves to this one.",
    footer = {
      "",
      "Example:",
      "  pretrain4j checkpoints pin runs/quickstart/checkpoints/step-0000000150 stable"
    })
final class CheckpointsPinCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "CHECKPOINT", description = "The checkpoint.")
  private String path;

  @Parameters(
      index = "1",
      paramLabel = "TAG",
      description = "Its name: 1 to 64 letters, digits, '-' and '_'.")
  private String tag;

  @Override
  public Integer call() {
    Checkpoint checkpoint = CheckpointFolder.open(path);
    CheckpointStore.open(checkpoint.folder().getParent().toString()).pin(checkpoint.step(), tag);
    return ExitCode.OK.number();
  }
}
