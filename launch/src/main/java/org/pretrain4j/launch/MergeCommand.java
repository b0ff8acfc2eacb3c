package org.pretrain4j.launch;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.checkpoints.merging.MergeConfig;
import org.pretrain4j.checkpoints.merging.ModelMerge;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.trainer.exchange.StoredModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Merges models. */
@Command(
    name = "merge",
    header = "Makes one model out of several of the same shape.",
    description = {
      "RECIPE is a YAML file: method (linear or slerp), normalize, output (bf16, f16 or f32), and"
          + " models, each with path, weight and filters (other weights for the tensors whose names"
          + " match a regular expression). The first model decides about the format: of a folder in"
          + " the Hugging Face format comes one, of a checkpoint or a run a folder with one"
          + " checkpoint."
    },
    footer = {
      "",
      "Example: 0.9 of a soup and 0.1 of an earlier checkpoint, in merge.yaml:",
      "  models:",
      "    - {path: exported/soup, weight: 0.9}",
      "    - {path: exported/earlier, weight: 0.1}",
      "  pretrain4j merge merge.yaml --output exported/merged"
    })
final class MergeCommand implements Callable<Integer> {
  private static final Logger LOG = LogManager.getLogger(MergeCommand.class);

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "RECIPE", description = "The YAML file.")
  private Path recipe;

  @Option(
      names = "--output",
      paramLabel = "FOLDER",
      required = true,
      description = "Where to; must not exist.")
  private String output;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Override a key, such as models.0.weight=0.8; may be repeated.")
  private List<String> settings = new ArrayList<>();

  @Override
  public Integer call() {
    MergeConfig config = ConfigurationReader.read(MergeConfig.class, recipe, settings);
    ModelMerge.run(config, output, place -> StoredModel.input(place, LOG::warn), LOG::warn);
    spec.commandLine()
        .getOut()
        .printf(
            Locale.ROOT,
            "%s: %s of %d models%n",
            output,
            config.method().name().toLowerCase(Locale.ROOT),
            config.models().size());
    return ExitCode.OK.number();
  }
}
