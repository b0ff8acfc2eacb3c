package org.pretrain4j.launch;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.faults.Supervisor;
import org.pretrain4j.trainer.parallel.faults.SupervisorConfig;
import org.pretrain4j.trainer.run.ParallelismConfig;
import org.pretrain4j.trainer.run.RunConfig;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/**
 * Trains with several processes of this machine, and keeps the run going when one of them fails.
 */
@Command(
    name = "launch",
    header = "Trains with several processes of this machine, and starts again after a failure.",
    description = {
      "Starts the ranks of a run as processes, shows their output with the rank in front, and"
          + " notices the first that ends badly or hangs. Then it ends the others, says which rank it"
          + " was and why, and starts again from the newest good checkpoint.",
      "Ctrl-C or SIGTERM is passed on: all ranks save and end with exit code 75. The exit code is"
          + " that of the last attempt: of the rank that failed first, or 70 if the run hung.",
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j launch --ranks 2 -- train configs/quickstart.yaml",
      "  pretrain4j launch --ranks 8 --restarts 20 -- train configs/smollm3-135m.yaml --set name=a"
    })
final class LaunchCommand implements Callable<Integer> {
  /** What a rank may take to come to its first record, beyond the time to find the others. */
  private static final Duration START = Duration.ofMinutes(1);

  /** After the ranks' own watchdogs, which know more. */
  private static final Duration AFTER_WATCHDOGS = Duration.ofSeconds(5);

  private final GracefulStop signals;

  @Spec private CommandSpec spec;

  @Option(
      names = "--ranks",
      paramLabel = "N",
      description = {
        "How many processes (default: as many as parallelism.ranks of the configuration needs). Each"
            + " is a rank, or parallelism.ranks_per_process of them."
      })
  private Integer ranks;

  @Option(
      names = "--restarts",
      paramLabel = "N",
      defaultValue = "10",
      description = {
        "How often in a row the run is started again without getting further (default:"
            + " ${DEFAULT-VALUE})."
      })
  private int restarts;

  @Option(
      names = "--backoff",
      paramLabel = "SECONDS",
      defaultValue = "1",
      description = {
        "Pause before the run is started again; doubles while it gets no further, up to a minute"
            + " (default: ${DEFAULT-VALUE})."
      })
  private double backoff;

  @Option(
      names = "--grace",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description = {
        "After one rank has failed, time for the others to end before they are killed (default:"
            + " ${DEFAULT-VALUE})."
      })
  private double grace;

  @Parameters(
      arity = "1..*",
      paramLabel = "COMMAND",
      description = "After --: train, its configuration and options.")
  private List<String> command;

  LaunchCommand(GracefulStop signals) {
    this.signals = signals;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    RunConfig config = trained();
    ParallelismConfig parallelism = config.parallelism();
    Duration forOthers = seconds("--grace", grace);
    int each = parallelism.ranksPerProcess();
    int processes = ranks == null ? processes(parallelism.ranks(), each) : ranks;
    SupervisorConfig supervised =
        new SupervisorConfig(
            processes,
            each,
            RankCommand.training(processes).with(command),
            Map.of(),
            Path.of(config.runFolder().orElseThrow(), "records").toAbsolutePath(),
            parallelism.hangTimeout().plus(AFTER_WATCHDOGS),
            parallelism.joinTimeout().plus(START),
            forOthers,
            restarts,
            seconds("--backoff", backoff),
            SupervisorConfig.FINAL);
    PrintWriter out = spec.commandLine().getOut();
    Supervisor supervisor = new Supervisor(supervised, out::println);
    signals.on(supervisor::stop, parallelism.grace().plus(forOthers));
    return supervisor.run().exitCode();
  }

  /** A single rank is what a configuration says that leaves the number to the launcher. */
  private static int processes(int ranks, int each) {
    if (ranks > 1 && ranks % each != 0) {
      throw new UserException(
          "parallelism.ranks is %d and parallelism.ranks_per_process %d: expected a multiple, or the number of processes in --ranks"
              .formatted(ranks, each));
    }
    return Math.max(1, ranks / each);
  }

  private static Duration seconds(String option, double value) {
    if (!(value >= 0 && value <= 3600)) {
      throw new UserException(option + " is " + value + ", expected seconds from 0 to 3600");
    }
    return Duration.ofMillis(Math.round(1000 * value));
  }

  /** What the ranks will train, checked here once instead of in each of them. */
  private RunConfig trained() {
    CommandLine train = spec.commandLine().getParent().getSubcommands().get("train");
    if (!command.getFirst().equals(train.getCommandName())) {
      throw new ParameterException(
          spec.commandLine(), "after -- comes train, not '" + command.getFirst() + "'");
    }
    ParseResult parsed = train.parseArgs(command.subList(1, command.size()).toArray(String[]::new));
    if (parsed.isUsageHelpRequested()) {
      throw new ParameterException(spec.commandLine(), "ask for help with: train --help");
    }
    TrainCommand wanted = train.getCommand();
    return wanted.config();
  }
}
