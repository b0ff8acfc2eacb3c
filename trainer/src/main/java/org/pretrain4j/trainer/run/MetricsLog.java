package org.pretrain4j.trainer.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import org.pretrain4j.configuration.UserException;

/**
 * {@code metrics.jsonl} of a run: one object a step, each step once. When a run goes on from a
 * checkpoint, what was logged after it is dropped, as those steps will be done again.
 */
final class MetricsLog implements AutoCloseable {
  static final String FILE_NAME = "metrics.jsonl";

  private final ObjectMapper mapper = new ObjectMapper();
  private final Path file;
  private final BufferedWriter writer;
  private long lastStep;

  /**
   * @param folder of the run
   * @param stepsDone steps whose lines stay
   * @throws UserException if the file can't be read or written
   */
  MetricsLog(Path folder, long stepsDone) {
    this(folder, FILE_NAME, stepsDone);
  }

  /** The same for another file whose lines belong to steps. */
  MetricsLog(Path folder, String name, long stepsDone) {
    this.file = folder.resolve(name);
    try {
      keep(stepsDone);
      this.writer =
          Files.newBufferedWriter(
              file, StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw failure(e);
    }
  }

  private void keep(long stepsDone) throws IOException {
    if (!Files.exists(file)) {
      return;
    }
    Path next = file.resolveSibling(file.getFileName() + ".next");
    // A reader that replaces malformed bytes: they can only stand in a line that a crash cut short.
    try (BufferedReader old =
            new BufferedReader(
                new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8));
        BufferedWriter kept = Files.newBufferedWriter(next, StandardCharsets.UTF_8)) {
      for (String line = old.readLine(); line != null; line = old.readLine()) {
        long step = stepOf(line);
        if (step >= 1 && step <= stepsDone) {
          kept.write(line);
          kept.write('\n');
          lastStep = Math.max(lastStep, step);
        }
      }
    }
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
  }

  /** The step of a line, or -1 for one that is cut short. */
  private long stepOf(String line) {
    try {
      JsonNode step = mapper.readTree(line).path("step");
      return step.isIntegralNumber() ? step.longValue() : -1;
    } catch (JsonProcessingException e) {
      return -1;
    }
  }

  /** The last step that had a line when the run began; 0 for none. */
  long lastStep() {
    return lastStep;
  }

  void write(Record metrics) {
    try {
      writer.write(mapper.writeValueAsString(metrics));
      writer.write('\n');
      writer.flush();
    } catch (IOException e) {
      throw failure(e);
    }
  }

  private UserException failure(IOException e) {
    return new UserException(
        "the metrics can't be written to "
            + file
            + " ("
            + e.getMessage()
            + "): make room there or check its permissions; the checkpoints are untouched",
        e);
  }

  @Override
  public void close() {
    try {
      writer.close();
    } catch (IOException e) {
      throw failure(e);
    }
  }
}
