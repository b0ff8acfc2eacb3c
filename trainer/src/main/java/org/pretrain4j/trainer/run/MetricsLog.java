package org.pretrain4j.trainer.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedWriter;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.pretrain4j.configuration.StorageException;

/**
 * {@code metrics.jsonl} of a run: one object a step, each step once. When a run goes on from a
 * checkpoint, what was logged after it is dropped, as those steps will be done again.
 */
final class MetricsLog implements AutoCloseable {
  static final String FILE_NAME = "metrics.jsonl";

  private static final int BLOCK = 8192;

  private final ObjectMapper mapper = new ObjectMapper();
  private final Path file;
  private final BufferedWriter writer;
  private long lastStep;

  /**
   * @param folder of the run
   * @param stepsDone steps whose lines stay
   * @throws StorageException if the file can't be read or written
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

  /** Lines are in the order of steps, so only the end is read, however long the run. */
  private void keep(long stepsDone) throws IOException {
    if (!Files.exists(file)) {
      return;
    }
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      long end = channel.size();
      while (end > 0) {
        long start = lineStart(channel, end);
        ByteBuffer line = ByteBuffer.allocate(Math.toIntExact(end - start));
        readFully(channel, line, start);
        // Bytes that a crash left are replaced; they are no line then.
        String text = StandardCharsets.UTF_8.decode(line.flip()).toString();
        long step = stepOf(text);
        if (step >= 1 && step <= stepsDone) {
          lastStep = step;
          if (!text.endsWith("\n")) {
            channel.write(ByteBuffer.wrap(new byte[] {'\n'}), end++);
          }
          break;
        }
        end = start;
      }
      channel.truncate(end);
    }
  }

  /** Where the line begins whose last byte, mostly a line feed, is the one before {@code end}. */
  private static long lineStart(FileChannel channel, long end) throws IOException {
    long to = end - 1;
    while (to > 0) {
      long from = Math.max(0, to - BLOCK);
      ByteBuffer block = ByteBuffer.allocate((int) (to - from));
      readFully(channel, block, from);
      for (int i = block.capacity() - 1; i >= 0; i--) {
        if (block.get(i) == '\n') {
          return from + i + 1;
        }
      }
      to = from;
    }
    return 0;
  }

  private static void readFully(FileChannel channel, ByteBuffer target, long position)
      throws IOException {
    long start = position - target.position();
    while (target.hasRemaining()) {
      if (channel.read(target, start + target.position()) < 0) {
        throw new EOFException("the file was cut while it was read");
      }
    }
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

  private StorageException failure(IOException e) {
    return new StorageException(
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
