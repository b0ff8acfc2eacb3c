package org.pretrain4j.launch;

import java.util.Locale;
import java.util.concurrent.Callable;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointReshard;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.configuration.UserException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Writes a checkpoint anew in another number of shards. */
@Command(
    name = "reshard",
    header = "Writes a checkpoint anew, as if another number of ranks had saved it.",
    description =
        "Training does not need this: any number of ranks goes on from what any other number saved."
            + " It makes few large files of many small ones, or the reverse.",
    footer = {
      "",
      "Example:",
      "  pretrain4j checkpoints reshard runs/big/checkpoints/step-0000002000 archive --ranks 1"
    })
final class CheckpointsReshardCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "CHECKPOINT", description = "What to write anew.")
  private String source;

  @Parameters(
      index = "1",
      paramLabel = "TARGET",
      description = "Folder of checkpoints to write it to; may be new.")
  private String target;

  @Option(names = "--ranks", paramLabel = "N", required = true, description = "Number of shards.")
  private int ranks;

  @Override
  public Integer call() {
    if (ranks < 1 || ranks > 99_999) {
      throw new UserException("--ranks is " + ranks + ", expected 1 to 99999");
    }
    Checkpoint checkpoint = CheckpointFolder.open(source);
    CheckpointStore store = CheckpointStore.open(target);
    if (store.steps().contains(checkpoint.step())) {
      throw new UserException(
          "%s already holds step %d; name another folder"
              .formatted(store.root(), checkpoint.step()));
    }
    CheckpointReshard.reshard(checkpoint, store, ranks);
    Checkpoint written = store.open(checkpoint.step());
    spec.commandLine()
        .getOut()
        .println(
            String.format(
                Locale.ROOT,
                "%s: %s in %d shards, before in %d",
                written.folder(),
                HumanUnits.bytes(written.bytes()),
                written.worldSize(),
                checkpoint.worldSize()));
    return ExitCode.OK.number();
  }
}
