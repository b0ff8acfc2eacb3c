package org.pretrain4j.trainer.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The memory of this process, as the operating system counts it. */
public final class PeakMemory {
  private static final Path STATUS = Path.of("/proc/self/status");

  private PeakMemory() {}

  /** Largest resident set so far in bytes, or -1 where the system does not tell. */
  public static long bytes() {
    return read("VmHWM:");
  }

  /** Resident set now in bytes, or -1 where the system does not tell. */
  public static long residentBytes() {
    return read("VmRSS:");
  }

  private static long read(String key) {
    try {
      return Files.readAllLines(STATUS).stream()
          .filter(line -> line.startsWith(key))
          .findFirst()
          .map(line -> Long.parseLong(line.replaceAll("\\D+", "")) * 1024)
          .orElse(-1L);
    } catch (IOException e) {
      return -1;
    }
  }
}
