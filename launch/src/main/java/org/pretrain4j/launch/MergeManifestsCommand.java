package org.pretrain4j.launch;

import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.ManifestMerge;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Makes one dataset of what several workers tokenized. */
@Command(
    name = "merge-manifests",
    header = "Makes one dataset of what the workers of a tokenization wrote.",
    description = {
      "Needed once after all of 'tokenize --worker 0/N' to 'N-1/N' have written into one folder. The"
          + " shards stay as they are, in the order of the workers."
    },
    footer = {"", "Example:", "  pretrain4j merge-manifests hdfs://nn/shards/web"})
final class MergeManifestsCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "FOLDER", description = "The folder into which the workers wrote.")
  private String folder;

  @Override
  public Integer call() {
    Storage storage = new Storage(new Configuration());
    spec.commandLine()
        .getOut()
        .println(HumanUnits.dataset(folder, ManifestMerge.merge(storage, storage.path(folder))));
    return ExitCode.OK.number();
  }
}
