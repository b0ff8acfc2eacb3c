package org.pretrain4j.launch;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What can be done with checkpoints besides training on from them. */
@Command(
    name = "checkpoints",
    header = "Lists, verifies, compares, cuts anew, pins and deletes checkpoints.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      CheckpointsListCommand.class,
      CheckpointsVerifyCommand.class,
      CheckpointsDiffCommand.class,
      CheckpointsReshardCommand.class,
      CheckpointsPruneCommand.class,
      CheckpointsPinCommand.class,
      CheckpointsUnpinCommand.class
    },
    footer = {
      "",
      "FOLDER is a run's folder or a folder of checkpoints, CHECKPOINT a folder such as"
          + " step-0000000100, on any file system that Hadoop knows.",
      "",
      "Examples:",
      "  pretrain4j checkpoints list runs/quickstart",
      "  pretrain4j checkpoints verify runs/quickstart"
    })
final class CheckpointsCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "which command?");
  }
}
