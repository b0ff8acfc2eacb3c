package org.pretrain4j.spark;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.spark.api.java.JavaSparkContext;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.data.curation.CurateJob;
import org.pretrain4j.data.curation.CurationConfig;
import org.pretrain4j.data.curation.CurationReport;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.PreparationListener;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code curate} on a cluster. */
@Command(
    name = "curate",
    header = "Leaves out bad and duplicate documents, and says what it dropped and why.",
    description = "The result is that of 'pretrain4j curate' with the same rules.")
final class CurateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Mixin private InputOptions inputs;

  @Option(
      names = "--output",
      paramLabel = "FOLDER",
      required = true,
      description = "Where the kept documents and the report go.")
  private String output;

  @Option(
      names = "--rules",
      paramLabel = "FILE",
      description =
          "A YAML file, on the machine of the driver, with rules that differ from the"
              + " defaults.")
  private Path rules;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Override a rule, such as min_characters=200; may be repeated.")
  private List<String> settings = new ArrayList<>();

  @Option(
      names = "--part-characters",
      paramLabel = "N",
      description =
          "A part ends with the document that reaches so many characters (default: 2^28).")
  private long partCharacters = CurateJob.DEFAULT_PART_CHARACTERS;

  @Override
  public Integer call() throws IOException {
    CurationConfig config =
        rules == null
            ? ConfigurationReader.defaults(CurationConfig.class, settings)
            : ConfigurationReader.read(CurationConfig.class, rules, settings);
    try (JavaSparkContext spark = SparkStart.start("curate")) {
      Storage storage = new Storage(spark.hadoopConfiguration());
      Corpus corpus = inputs.find(storage);
      CurationReport report =
          new CurateJob(
                  storage,
                  corpus.inputs(storage),
                  storage.path(output),
                  config.curation(),
                  partCharacters,
                  1,
                  PreparationListener.NONE)
              .run(new CurateOnSpark(spark, corpus));
      spec.commandLine().getOut().println(output + ": " + report);
    }
    return 0;
  }
}
