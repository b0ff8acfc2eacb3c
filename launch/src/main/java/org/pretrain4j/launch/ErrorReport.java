package org.pretrain4j.launch;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import org.pretrain4j.configuration.ConfigurationException;
import org.pretrain4j.configuration.StorageException;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.cluster.RendezvousException;
import org.pretrain4j.trainer.run.DivergedException;
import picocli.CommandLine;
import picocli.CommandLine.ExecutionException;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * Tells the user what went wrong: exactly one line that starts with {@code error:} on standard
 * error. The stack trace of what nobody expected goes to a log, and to the terminal only where
 * {@code --stack-trace} asks for it.
 */
final class ErrorReport implements IExecutionExceptionHandler, IParameterExceptionHandler {

  @Override
  public int handleParseException(ParameterException error, String[] arguments) {
    CommandLine command = error.getCommandLine();
    String help = " (see " + command.getCommandSpec().qualifiedName() + " --help)";
    print(command.getErr(), error.getMessage() + help);
    return ExitCode.USAGE.number();
  }

  @Override
  public int handleExecutionException(Exception error, CommandLine command, ParseResult result) {
    if (error instanceof ParameterException misuse) {
      return handleParseException(misuse, new String[0]);
    }
    ExitCode code = report(error, command.getErr());
    if (result.hasMatchedOption("--stack-trace")) {
      error.printStackTrace(command.getErr());
    }
    return code.number();
  }

  /** Prints the line for this error and returns the exit code that stands for it. */
  ExitCode report(Throwable thrown, PrintWriter err) {
    Throwable error = unwrap(thrown);
    ExitCode code = exitCode(error);
    if (code == ExitCode.INTERNAL_ERROR) {
      String where = writeTrace(thrown).map(log -> "; see " + log).orElse("");
      print(err, unexpected(error) + where);
    } else {
      print(err, expected(error));
    }
    return code;
  }

  private static ExitCode exitCode(Throwable error) {
    return switch (error) {
      case StorageException refused -> ExitCode.STORAGE;
      case DivergedException diverged -> ExitCode.DIVERGED;
      case UserException mistake -> ExitCode.USAGE;
      case IOException failed -> ExitCode.STORAGE;
      case CollectiveException failure ->
          failure.isOwnFault() ? ExitCode.INTERNAL_ERROR : ExitCode.OTHER_RANK;
      case RendezvousException absent -> ExitCode.OTHER_RANK;
      default -> ExitCode.INTERNAL_ERROR;
    };
  }

  private static Throwable unwrap(Throwable thrown) {
    // libtorch is loaded by a class's initializer, where mistakes in the environment are noticed.
    boolean wrapped =
        thrown instanceof ExecutionException
            || thrown instanceof UncheckedIOException
            || thrown instanceof ExceptionInInitializerError;
    return wrapped && thrown.getCause() != null ? unwrap(thrown.getCause()) : thrown;
  }

  private static String expected(Throwable error) {
    return switch (error) {
      case ConfigurationException wrong -> violations(wrong);
      case NoSuchFileException missing -> "no such file: " + missing.getMessage();
      case AccessDeniedException denied -> "no permission for " + denied.getMessage();
      default -> error.getMessage() == null ? error.toString() : error.getMessage();
    };
  }

  /** One violation is the line itself; several are listed below it. */
  private static String violations(ConfigurationException wrong) {
    int count = wrong.violations().size();
    return count == 1
        ? wrong.getMessage()
        : count + " things are wrong:" + ("\n" + wrong.getMessage()).replace("\n", "\n  ");
  }

  private static String unexpected(Throwable error) {
    if (error instanceof CollectiveException) {
      return error.getMessage();
    }
    return error instanceof OutOfMemoryError
        ? "out of memory ("
            + error.getMessage()
            + "); use smaller batches, or give the heap more"
            + " with PRETRAIN4J_JAVA_OPTIONS=-Xmx..."
        : "unexpected " + error;
  }

  /** Writes the stack trace to the run's log, or to a file of its own where there is no run. */
  private static Optional<Path> writeTrace(Throwable error) {
    Optional<Path> log = LogFile.writeTrace(error);
    if (log.isPresent()) {
      return log;
    }
    try {
      Path file = Files.createTempFile("pretrain4j-", ".log");
      try (PrintWriter writer = new PrintWriter(Files.newBufferedWriter(file))) {
        error.printStackTrace(writer);
      }
      return Optional.of(file);
    } catch (IOException unwritable) {
      // Nowhere to write it: the line on the terminal is all there can be.
      return Optional.empty();
    }
  }

  private static void print(PrintWriter err, String message) {
    err.println("error: " + message.strip());
    err.flush();
  }
}
