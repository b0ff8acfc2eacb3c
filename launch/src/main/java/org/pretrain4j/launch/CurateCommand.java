package org.pretrain4j.launch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.data.curation.CurateJob;
import org.pretrain4j.data.curation.CurationConfig;
import org.pretrain4j.data.curation.CurationReport;
import org.pretrain4j.data.storage.Storage;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Leaves out documents that are not worth training on. */
@Command(
    name = "curate",
    header = "Leaves out bad and duplicate documents, and says what it dropped and why.",
    description = {
      "Writes the documents that are kept as JSONL, compressed by zstd, in the order of the inputs,"
          + " ready for tokenize; and curation.json, which counts what was dropped for each reason,"
          + " with examples. Of documents that are alike the first one stays. What is dropped"
          + " depends on inputs and rules alone.",
      "",
      "Memory: some 100 bytes for each document that is kept, and 1 kB more to find near duplicates,"
          + " of which one process can index half a billion bands: 33 million documents of 16 bands"
          + " (docs/spark.md has a way for more)."
    },
    footer = {
      "",
      "Rules are a YAML file, and --set overrides one; docs/data-format.md lists them all:",
      "  min_characters: 200",
      "  script: latin",
      "  near_duplicates: false",
      "",
      "Examples:",
      "  pretrain4j curate 'web-*.jsonl.gz' --output curated/web",
      "  pretrain4j curate 'web-*.parquet' --output curated/web --rules rules.yaml"
          + " --set near_similarity=0.7",
      "  pretrain4j tokenize --tokenizer tokenizer.json --output shards/web"
          + " 'curated/web/*.jsonl.zst'"
    })
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
      description = "A YAML file with rules that differ from the defaults.")
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

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that judge documents (default: one for each core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Override
  public Integer call() throws IOException {
    CurationConfig config =
        rules == null
            ? ConfigurationReader.defaults(CurationConfig.class, settings)
            : ConfigurationReader.read(CurationConfig.class, rules, settings);
    Storage storage = new Storage(new Configuration());
    try (PreparationProgress progress =
        new PreparationProgress("curated", LiveLine.onStandardOutput())) {
      CurationReport report =
          new CurateJob(
                  storage,
                  inputs.find(storage),
                  storage.path(output),
                  config.curation(),
                  partCharacters,
                  threads,
                  progress)
              .run();
      spec.commandLine().getOut().println(output + ": " + report);
    }
    return ExitCode.OK.number();
  }
}
