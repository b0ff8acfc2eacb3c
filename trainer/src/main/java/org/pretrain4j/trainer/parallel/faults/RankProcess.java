package org.pretrain4j.trainer.parallel.faults;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** One local process of a run; its output goes on with its rank in front. */
final class RankProcess {
  private static final Logger LOG = LogManager.getLogger();
  private static final int REMEMBERED = 50;

  private final int rank;
  private final String name;
  private final Process process;
  private final Thread reader;
  private final Deque<String> last = new ArrayDeque<>();

  /**
   * Starts it.
   *
   * @param rank the first of its ranks
   * @param count its ranks
   * @param output gets each line of its output
   */
  RankProcess(int rank, int count, ProcessBuilder builder, Consumer<String> output)
      throws IOException {
    this.rank = rank;
    name = count == 1 ? "rank " + rank : "ranks " + rank + "-" + (rank + count - 1);
    process = builder.redirectErrorStream(true).start();
    process.getOutputStream().close();
    reader =
        Thread.ofVirtual()
            .name("output-" + rank)
            .start(() -> forward(process.getInputStream(), output));
  }

  private void forward(InputStream stream, Consumer<String> output) {
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        output.accept("[" + name + "] " + line);
        synchronized (last) {
          last.add(line);
          if (last.size() > REMEMBERED) {
            last.remove();
          }
        }
      }
    } catch (IOException e) {
      LOG.debug("the output of {} ends: {}", name, e.toString());
    }
  }

  /** The first of its ranks. */
  int rank() {
    return rank;
  }

  Process process() {
    return process;
  }

  boolean isAlive() {
    return process.isAlive();
  }

  int exitCode() {
    return process.exitValue();
  }

  /** Makes a JVM print the stacks of all its threads. */
  void dumpThreads() throws IOException, InterruptedException {
    new ProcessBuilder("kill", "-QUIT", Long.toString(process.pid()))
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start()
        .waitFor(2, TimeUnit.SECONDS);
  }

  /** SIGTERM. Unlike the process's own method this leaves its output open: it still has to save. */
  void terminate() {
    process.toHandle().destroy();
  }

  /** Also what the process has started itself. */
  void kill() {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.toHandle().destroyForcibly();
  }

  boolean waitFor(Duration time) throws InterruptedException {
    return process.waitFor(Math.max(1, time.toMillis()), TimeUnit.MILLISECONDS);
  }

  /** Waits a little for the last words of a process that has ended. */
  void awaitOutput() throws InterruptedException {
    reader.join(Duration.ofSeconds(2));
  }

  /** Why it ended, in a line: signal or exit code, and its last error. */
  String describeEnd() throws InterruptedException {
    awaitOutput();
    int code = exitCode();
    String how =
        code > 128 && code < 128 + 65
            ? "was killed by signal " + (code - 128) + signal(code - 128)
            : "ended with exit code " + code;
    String error = "";
    synchronized (last) {
      for (String line : last) {
        if (line.startsWith("error:") || line.contains("Exception") || line.contains("Error: ")) {
          error = line.strip();
        }
      }
    }
    return (name.startsWith("ranks") ? "the process of " : "")
        + name
        + " "
        + how
        + (error.isEmpty() ? "" : ": " + error);
  }

  private static String signal(int number) {
    return switch (number) {
      case 6 -> " (SIGABRT)";
      case 7 -> " (SIGBUS)";
      case 9 -> " (SIGKILL; out of memory, perhaps)";
      case 11 -> " (SIGSEGV)";
      case 15 -> " (SIGTERM)";
      default -> "";
    };
  }
}
