package org.pretrain4j.spark;

import java.util.concurrent.Callable;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shuffle.ShuffleJob;
import org.pretrain4j.data.shuffle.ShuffleOptions;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.PreparationListener;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code shuffle} by Spark's own shuffle. */
@Command(
    name = "shuffle",
    header = "Writes the sequences of a dataset in random order.",
    description = "The result is that of 'pretrain4j shuffle' with the same options.")
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
      description =
          "About how many tokens a shard gets; each takes some 12 bytes of a task's memory"
              + " (default: 2^25).")
  private long shardTokens = ShuffleOptions.DEFAULT_SHARD_TOKENS;

  @Override
  public Integer call() {
    ShuffleOptions options = new ShuffleOptions(sequenceLength, seed, shardTokens);
    try (JavaSparkContext spark = SparkStart.start("shuffle")) {
      Storage storage = new Storage(spark.hadoopConfiguration());
      Path target = storage.path(output);
      Manifest manifest =
          new ShuffleJob(storage, storage.path(source), target, options, PreparationListener.NONE)
              .run(new SparkShuffle(spark, target));
      spec.commandLine().getOut().println(Summary.of(output, manifest));
    }
    return 0;
  }
}
