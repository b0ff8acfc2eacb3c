package org.pretrain4j.launch;

import java.io.IOException;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.TokenizerConfig;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.Tokenizer;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.optim.ParameterGroups;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.run.RunData;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
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
      "  pretrain4j validate configs/smollm3-3b.yaml --ranks 576"
    })
final class ValidateCommand implements Callable<Integer> {
  private static final Logger LOG = LogManager.getLogger(ValidateCommand.class);

  @Spec private CommandSpec spec;
  @Mixin private ConfigurationOptions configuration;

  @Option(
      names = "--ranks",
      paramLabel = "N",
      description = {
        "Ranks to reckon the deal of a step's rows with (default: parallelism.ranks of the"
            + " configuration)."
      })
  private Integer ranks;

  @Override
  public Integer call() throws IOException {
    RunConfig config = configuration.read();
    ParameterGroups.of(
        ModelLayout.of(config.model()).parameters(),
        config.optimizer().weightDecay(),
        config.optimizer().weightDecayExclude());
    RunData.plan(config);
    checkTokenizer(config);
    long shared = ranks == null ? config.parallelism().ranks() : ranks;
    if (shared < 1) {
      throw new UserException("--ranks is " + shared + ", expected 1 or more");
    }
    ConfigurationSummary.of(config, shared).forEach(spec.commandLine().getOut()::println);
    spec.commandLine().getOut().println(configuration.file() + " is OK");
    return ExitCode.OK.number();
  }

  /** A run may be checked on a machine that lacks its tokenizer. */
  private static void checkTokenizer(RunConfig config) throws IOException {
    Storage storage = new Storage(new Configuration());
    TokenizerConfig named = config.tokenizer();
    Path path = storage.path(named.path());
    if (!storage.isLocal(path) || !storage.exists(path)) {
      LOG.warn("{} is not here, so nothing is known of its vocabulary", named.path());
      return;
    }
    try (Tokenizer tokenizer = Tokenizer.load(storage, named.path(), named.endOfDocument())) {
      if (tokenizer.vocabSize() > config.model().vocabSize()) {
        throw new UserException(
            "model.vocab_size is %d, but the tokenizer %s has %d tokens; make it at least that"
                .formatted(config.model().vocabSize(), named.path(), tokenizer.vocabSize()));
      }
    }
  }
}
