package org.pretrain4j.launch;

import java.util.Locale;
import java.util.concurrent.Callable;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.trainer.run.Resume;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.run.StopRequest;
import org.pretrain4j.trainer.run.Trainer;
import org.pretrain4j.trainer.run.TrainingOptions;
import org.pretrain4j.trainer.run.TrainingResult;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Trains a model. */
@Command(
    name = "train",
    header = "Trains a model, or goes on where the run stopped.",
    description = {
      "Tokenizes text on first use, trains, and saves checkpoints into the run's folder. Ctrl-C or"
          + " SIGTERM saves and ends with exit code 75; the same command then goes on from there."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j train configs/quickstart.yaml",
      "  pretrain4j train configs/quickstart.yaml --set name=try --set optimizer.learning_rate=1e-3",
      "  pretrain4j train configs/quickstart.yaml --resume never",
      "  pretrain4j train my.yaml --allow-data-change --set stages.0.mixture.math=0.2",
      "  pretrain4j launch --ranks 2 -- train configs/quickstart.yaml"
    })
final class TrainCommand implements Callable<Integer> {
  private static final Logger LOG = LogManager.getLogger(TrainCommand.class);

  private final GracefulStop signals;

  @Mixin private ConfigurationOptions configuration;

  @Option(
      names = "--resume",
      paramLabel = "WHEN",
      defaultValue = "auto",
      description = {
        "What to do with a run that the folder already holds. auto: go on with it, or begin if there"
            + " is none; never: refuse to touch it; required: refuse to begin (default:"
            + " ${DEFAULT-VALUE})."
      })
  private Resume resume;

  @Option(
      names = "--allow-data-change",
      description = {
        "Go on with other data than the run had: another mixture of a stage that has begun, new"
            + " datasets, other shards. Each dataset goes on where it stood; the change is recorded"
            + " in the checkpoints, the metrics and data-changes.json."
      })
  private boolean mayChangeData;

  TrainCommand(GracefulStop signals) {
    this.signals = signals;
  }

  /** The run that the options name. */
  RunConfig config() {
    return configuration.read();
  }

  @Override
  public Integer call() {
    RunConfig config = config();
    StopRequest stop = new StopRequest();
    signals.on(
        () -> {
          LOG.info("stopping: what is done by the end of this step is saved");
          stop.stop();
        },
        config.parallelism().grace());
    try (TrainingView view = new TrainingView(config, LiveLine.onStandardOutput())) {
      TrainingOptions options = new TrainingOptions(resume, mayChangeData, stop);
      TrainingResult result = new Trainer(config, options, view).run();
      return end(result).number();
    }
  }

  private ExitCode end(TrainingResult result) {
    if (result.complete()) {
      LOG.info("done after {} steps", HumanUnits.exact(result.steps()));
      return ExitCode.OK;
    }
    LOG.info(
        String.format(
            Locale.ROOT,
            "stopped and saved after %s steps; the same command goes on from there (exit code %d)",
            HumanUnits.exact(result.steps()),
            ExitCode.SAVED.number()));
    return ExitCode.SAVED;
  }
}
