package org.pretrain4j.launch;

import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shuffle.ShuffleJob;
import org.pretrain4j.data.shuffle.ShuffleOptions;
import org.pretrain4j.data.storage.Storage;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Writes a dataset anew in random order. */
@Command(
    name = "shuffle",
    header = "Writes the sequences of a dataset in random order.",
    description = {
      "Every order of all sequences is equally likely, so that what one bad file holds ends up evenly"
          + " spread. Needs memory for about one shard, and room for the tokens once more (4 bytes"
          + " each; twice as much where there are more than 256 shards) in the output folder while it"
          + " works. A job that was killed goes on where it"
          + " stopped, and its result is the same."
    },
    footer = {
      "",
      "Example:",
      "  pretrain4j shuffle shards/web --output shards/web-shuffled --sequence-length 4096"
    })
final class ShuffleCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "FOLDER", description = "The dataset to shuffle.")
  private String source;

  @Option(
      names = "--output",
      paramLabel = "FOLDER",
      required = true,
      description = "Where the shuffled shards and their manifest go.")
  private String output;

  @Option(
      names = "--sequence-length",
      paramLabel = "N",
      required = true,
      description = "training.sequence_length of the runs that will read the result.")
  private int sequenceLength;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "6",
      description = "Another seed gives another order (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--shard-tokens",
      paramLabel = "N",
      description = {
        "About how many tokens a shard gets; each takes some 12 bytes of memory (default: 2^25)."
      })
  private long shardTokens = ShuffleOptions.DEFAULT_SHARD_TOKENS;

  @Override
  public Integer call() {
    Storage storage = new Storage(new Configuration());
    ShuffleOptions options = new ShuffleOptions(sequenceLength, seed, shardTokens);
    try (PreparationProgress progress =
        new PreparationProgress("shuffled", LiveLine.onStandardOutput())) {
      Manifest manifest =
          new ShuffleJob(storage, storage.path(source), storage.path(output), options, progress)
              .run();
      spec.commandLine().getOut().println(HumanUnits.dataset(output, manifest));
    }
    return ExitCode.OK.number();
  }
}
