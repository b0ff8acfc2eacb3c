package org.pretrain4j.launch;

import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

/** Where the JVM begins. */
public final class Main {
  private Main() {}

  /**
   * Runs one command and ends the JVM with its exit code.
   *
   * @param arguments the command's name, its options and parameters
   */
  public static void main(String[] arguments) {
    if (LiveLine.STANDARD_OUTPUT_IS_TERMINAL) {
      // The console's log layout begins its lines with this, see log4j2.xml.
      System.setProperty("pretrain4j.line.start", LiveLine.ERASE);
    }
    GracefulStop signals = new GracefulStop();
    int code = run(arguments, signals);
    signals.ended(code);
    // Threads that libraries leave behind must not keep a finished command alive.
    System.exit(code);
  }

  private static int run(String[] arguments, GracefulStop signals) {
    ErrorReport errors = new ErrorReport();
    try {
      return commandLine(errors, signals).execute(arguments);
    } catch (Error error) {
      // Picocli hands over exceptions only; a lack of memory or a native library is told the same
      // way.
      return errors.report(error, new PrintWriter(System.err, true)).number();
    }
  }

  /** The tree of commands, with its help, error handling and exit codes. */
  static CommandLine commandLine(ErrorReport errors, GracefulStop signals) {
    CommandLine commandLine =
        new CommandLine(new Pretrain4j())
            .addSubcommand(new TrainCommand(signals))
            .addSubcommand(new LaunchCommand(signals))
            .addSubcommand(new CurateCommand())
            .addSubcommand(new TokenizeCommand())
            .addSubcommand(new MergeManifestsCommand())
            .addSubcommand(new ShuffleCommand())
            .addSubcommand(new ValidateCommand())
            .addSubcommand(new PlanCommand())
            .addSubcommand(new InspectCommand())
            .addSubcommand(new CheckpointsCommand())
            .addSubcommand(new GenerateCommand())
            .addSubcommand(new EvaluateCommand())
            .addSubcommand(new ExportCommand())
            .addSubcommand(new ImportCommand())
            .addSubcommand(new MergeCommand())
            .addSubcommand(new BenchCommand())
            .setOut(new PrintWriter(System.out, true))
            .setErr(new PrintWriter(System.err, true))
            .setCaseInsensitiveEnumValuesAllowed(true)
            // As products are, both an operator and a measurement of bench.
            .setAllowSubcommandsAsOptionParameters(true)
            .setExecutionExceptionHandler(errors)
            .setParameterExceptionHandler(errors);
    document(commandLine);
    return commandLine;
  }

  /** Ends the help of every command with the table of exit codes. */
  private static void document(CommandLine commandLine) {
    CommandSpec spec = commandLine.getCommandSpec();
    spec.usageMessage()
        .exitCodeListHeading("%nExit codes:%n")
        .exitCodeList(ExitCode.table())
        .autoWidth(true);
    commandLine.getSubcommands().values().forEach(Main::document);
  }
}
