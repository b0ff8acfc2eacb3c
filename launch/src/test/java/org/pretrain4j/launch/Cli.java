package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The real command line in a process of its own, with the JVM options of the launcher. */
final class Cli {
  /** The tokenizer that is shipped: a token for each byte. */
  static final Path TOKENIZER =
      Path.of("..", "configs", "tokenizers", "bytes", "tokenizer.json")
          .toAbsolutePath()
          .normalize();

  private static final int TIMEOUT_MINUTES = 5;

  private Cli() {}

  /** A process that has ended. */
  record Result(int code, String out, String err) {

    /** It ended well. */
    Result ok() {
      assertEquals(0, code, this::toString);
      return this;
    }

    /** It ended with one clear line, and no sign of a crash. */
    String error(ExitCode expected) {
      assertEquals(expected.number(), code, this::toString);
      assertNotEquals(0, code);
      List<String> errors = err.lines().filter(line -> line.startsWith("error: ")).toList();
      assertEquals(1, errors.size(), this::toString);
      assertFalse(err.contains("\tat "), this::toString);
      assertFalse(err.contains("Exception"), this::toString);
      assertFalse((out + err).contains("A fatal error has been detected"), this::toString);
      return errors.getFirst();
    }
  }

  /** Runs a command in this JVM, which is quicker; paths must be absolute. */
  static Result inside(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code =
        Main.commandLine(new ErrorReport(), new GracefulStop())
            .setOut(new PrintWriter(out, true))
            .setErr(new PrintWriter(err, true))
            .execute(arguments);
    return new Result(code, out.toString(), err.toString());
  }

  /** Runs a command in a folder to its end. */
  static Result run(Path folder, String... arguments) {
    return await(folder, start(folder, arguments));
  }

  /** Starts a command in a folder; its output goes to files there. */
  static Process start(Path folder, String... arguments) {
    return start(folder, List.of(), arguments);
  }

  /**
   * @param wrapper words before the JVM, such as those of a shell that sets a limit
   */
  static Process start(Path folder, List<String> wrapper, String... arguments) {
    return start(folder, wrapper, List.of(), arguments);
  }

  /**
   * @param options of the JVM, which count more than those that all tests have
   */
  static Process start(
      Path folder, List<String> wrapper, List<String> options, String... arguments) {
    List<String> command = new ArrayList<>(wrapper);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "--enable-native-access=ALL-UNNAMED",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "--add-modules=jdk.incubator.vector",
            // One thread: tests on a busy machine must not wait for each other's threads.
            "-XX:ActiveProcessorCount=1",
            "-XX:+UseSerialGC",
            "-Xmx1g",
            "-Djava.io.tmpdir=" + folder));
    command.addAll(options);
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            Main.class.getName()));
    command.addAll(Arrays.asList(arguments));
    try {
      return new ProcessBuilder(command)
          .directory(folder.toFile())
          .redirectOutput(folder.resolve("stdout").toFile())
          .redirectError(folder.resolve("stderr").toFile())
          .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits for the end of a process that was started in this folder. */
  static Result await(Path folder, Process process) {
    try {
      boolean ended = process.waitFor(TIMEOUT_MINUTES, TimeUnit.MINUTES);
      if (!ended) {
        process.destroyForcibly().waitFor();
      }
      Result result =
          new Result(
              process.exitValue(),
              Files.readString(folder.resolve("stdout")),
              Files.readString(folder.resolve("stderr")));
      assertTrue(ended, () -> "still running: " + result);
      return result;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      process.destroyForcibly();
      throw new IllegalStateException(e);
    }
  }
}
