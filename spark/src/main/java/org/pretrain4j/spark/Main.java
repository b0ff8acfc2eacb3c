package org.pretrain4j.spark;

import java.io.PrintWriter;
import org.pretrain4j.configuration.UserException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/** The program that spark-submit starts, or {@code launch/pretrain4j-spark} without a cluster. */
@Command(
    name = "pretrain4j-spark",
    mixinStandardHelpOptions = true,
    subcommands = {TokenizeCommand.class, CurateCommand.class, ShuffleCommand.class},
    header = "Prepares data on Apache Spark, with the results of pretrain4j's own commands.",
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "Inputs and outputs lie on file systems that all machines share. Where it runs is what"
          + " spark-submit or the properties spark.* say; without them, in this process on all cores."
    })
public final class Main implements Runnable {
  private static final int DONE = 0;
  private static final int FAILED = 1;
  private static final int MISTAKE = 2;

  @Spec private CommandSpec spec;

  private Main() {}

  /**
   * Runs one command; ends the JVM with 2 after a mistake of the user, with 1 after a failure.
   *
   * @param arguments the command's name, its options and parameters
   */
  public static void main(String[] arguments) {
    int code = commandLine().execute(arguments);
    // Spark takes a driver that returns for a successful one, and one that exits with 0 too early
    // for a lost one.
    if (code != DONE) {
      System.exit(code);
    }
  }

  static CommandLine commandLine() {
    return new CommandLine(new Main())
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setOut(new PrintWriter(System.out, true))
        .setErr(new PrintWriter(System.err, true))
        .setParameterExceptionHandler(
            (error, arguments) -> {
              String help =
                  " (see " + error.getCommandLine().getCommandSpec().qualifiedName() + " --help)";
              error.getCommandLine().getErr().println("error: " + error.getMessage() + help);
              return MISTAKE;
            })
        .setExecutionExceptionHandler(Main::report);
  }

  private static int report(Exception error, CommandLine command, ParseResult parsed) {
    if (error instanceof UserException) {
      command.getErr().println("error: " + error.getMessage());
      return MISTAKE;
    }
    error.printStackTrace(command.getErr());
    return FAILED;
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "which command?");
  }
}
