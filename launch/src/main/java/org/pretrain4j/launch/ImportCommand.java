package org.pretrain4j.launch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.trainer.exchange.ModelImport;
import org.pretrain4j.trainer.exchange.StoredModel;
import org.pretrain4j.trainer.run.RunConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Starts runs from models that were trained elsewhere. */
@Command(
    name = "import",
    header = "Starts a run from the weights of a model that was trained elsewhere.",
    subcommands = {ImportCommand.HuggingFace.class, ImportCommand.Nanotron.class})
final class ImportCommand extends CommandGroup {

  /** What both formats have in common: they become the first checkpoint of a run. */
  abstract static class FirstOfRun implements Callable<Integer> {
    private static final Logger LOG = LogManager.getLogger(ImportCommand.class);

    @Spec private CommandSpec spec;

    @Mixin private ConfigurationOptions configuration;

    @Option(
        names = "--from",
        paramLabel = "FOLDER",
        required = true,
        description = "The model, on any file system that Hadoop knows.")
    private String folder;

    /** Files of which one must be there, so that a mistaken format is told by its name. */
    abstract String[] marks();

    @Override
    public Integer call() throws IOException {
      requireFormat();
      RunConfig run = configuration.read();
      try (StoredModel model = StoredModel.open(folder, Optional.empty(), LOG::warn)) {
        var written = ModelImport.run(model, run, LOG::warn);
        spec.commandLine()
            .getOut()
            .printf(
                "%s: %s parameters%n%s: step 0 of the run %s; go on with: pretrain4j train %s%n",
                folder,
                HumanUnits.exact(model.config().parameterCount()),
                Path.of(written.toUri().getPath()),
                run.name(),
                configuration.file());
      }
      return ExitCode.OK.number();
    }

    private void requireFormat() throws IOException {
      Storage storage = new Storage(new Configuration());
      for (String mark : marks()) {
        if (storage.exists(new org.apache.hadoop.fs.Path(storage.path(folder), mark))) {
          return;
        }
      }
      throw new UserException(
          "%s has no %s, so it is no model in this format"
              .formatted(folder, String.join(" and no ", marks())));
    }
  }

  /** From the Hugging Face format. */
  @Command(
      name = "hf",
      header = "Starts a run from a folder in the Hugging Face format (continued pretraining).",
      description = {
        "Writes the run's checkpoint of step 0, with moments that are zero. The model of the"
            + " configuration must have the sizes of the folder's config.json, and its tokenizer the"
            + " same vocabulary."
      },
      footer = {
        "",
        "Examples:",
        "  pretrain4j import hf continued.yaml --from exported/quickstart",
        "  pretrain4j import hf continued.yaml --from models/SmolLM3-3B-Base --set name=second"
      })
  static final class HuggingFace extends FirstOfRun {
    @Override
    String[] marks() {
      return new String[] {"config.json"};
    }
  }

  /** From nanotron. */
  @Command(
      name = "nanotron",
      header = "Starts a run from the weights of a nanotron checkpoint.",
      description = {
        "Takes weights of any tensor parallelism; the state of nanotron's optimizer is not read."
      },
      footer = {
        "",
        "Examples:",
        "  pretrain4j import nanotron continued.yaml --from nanotron/checkpoints",
        "  pretrain4j import nanotron continued.yaml --from nanotron/checkpoints/4000"
      })
  static final class Nanotron extends FirstOfRun {
    @Override
    String[] marks() {
      return new String[] {"model_config.json", "latest.txt"};
    }
  }
}
