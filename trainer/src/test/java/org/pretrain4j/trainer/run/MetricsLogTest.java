package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.StorageException;

final class MetricsLogTest {
  @TempDir private Path folder;

  private record Line(long step, String text) {}

  private Path file() {
    return folder.resolve(MetricsLog.FILE_NAME);
  }

  private static String line(long step, int width) {
    return "{\"step\":" + step + ",\"text\":\"" + "ä".repeat(width) + "\"}\n";
  }

  private void lines(int count, int width) throws IOException {
    StringBuilder all = new StringBuilder();
    IntStream.rangeClosed(1, count).forEach(step -> all.append(line(step, width)));
    Files.writeString(file(), all);
  }

  private List<String> goesOnFrom(long stepsDone, long expectedLast) throws IOException {
    try (MetricsLog log = new MetricsLog(folder, stepsDone)) {
      assertEquals(expectedLast, log.lastStep());
      log.write(new Line(stepsDone + 1, ""));
    }
    return Files.readAllLines(file(), StandardCharsets.UTF_8);
  }

  @Test
  void whatComesAfterTheCheckpointIsDropped() throws IOException {
    for (int width : List.of(0, 100, 9000)) {
      for (int kept : List.of(0, 1, 7, 20, 30)) {
        lines(20, width);
        int last = Math.min(20, kept);
        List<String> now = goesOnFrom(kept, last);
        assertEquals(last + 1, now.size());
        for (int step = 1; step <= last; step++) {
          assertEquals(line(step, width).strip(), now.get(step - 1));
        }
        assertEquals("{\"step\":" + (kept + 1) + ",\"text\":\"\"}", now.getLast());
      }
    }
  }

  @Test
  void whatACrashLeftAtTheEndIsDropped() throws IOException {
    for (String torn : List.of("{\"step\":4,\"te", "\0\0\0\0", "\n\n", "{}\n", "\uFFFD\n{\"st")) {
      lines(3, 50);
      Files.writeString(file(), torn, StandardOpenOption.APPEND);
      assertEquals(4, goesOnFrom(3, 3).size(), torn);
    }
  }

  @Test
  void aLineWithoutItsEndStaysALine() throws IOException {
    Files.writeString(file(), line(1, 5) + line(2, 5).strip());
    assertEquals(3, goesOnFrom(2, 2).size());
  }

  @Test
  void aFileThatCannotBeWrittenIsTheStoragesFault() throws IOException {
    Files.createDirectory(file());
    assertThrows(StorageException.class, () -> new MetricsLog(folder, 0));
  }
}
