package org.pretrain4j.launch;

import java.util.concurrent.Callable;
import org.pretrain4j.trainer.run.RunConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Checks a configuration without doing anything, and says what it amounts to. */
@Command(
    name = "validate",
    header = "Checks a run's configuration without training.",
    description = {
      "Reports everything that is wrong with the file at once, or what the run amounts to: its"
          + " parameters, its steps and its stages."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j validate configs/quickstart.yaml",
      "  pretrain4j validate configs/smollm3-3b.yaml --set parallelism.ranks=576"
    })
final class ValidateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ConfigurationOptions configuration;

  @Override
  public Integer call() {
    RunConfig config = configuration.read();
    ConfigurationSummary.of(config).forEach(spec.commandLine().getOut()::println);
    spec.commandLine().getOut().println(configuration.file() + " is OK");
    return ExitCode.OK.number();
  }
}
