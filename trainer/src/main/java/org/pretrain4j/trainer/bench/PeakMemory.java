package org.pretrain4j.trainer.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** The memory of this process, as the operating system counts it. */
public final class PeakMemory {
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final Path CLEAR = Path.of("/proc/self/clear_refs");

  /** Linux forgets the largest resident set so far when this is written. */
  private static final String FORGET_PEAK = "5";

  private PeakMemory() {}

  /** Largest resident set so far in bytes, or -1 where the system does not tell. */
  public static long bytes() {
    return read("VmHWM:");
  }

  /** Resident set now in bytes, or -1 where the system does not tell. */
  public static long residentBytes() {
    return read("VmRSS:");
  }

  /**
   * Lets {@link #bytes} start again from what is resident now.
   *
   * @return whether the system does that; if not, the figure stays that of the whole process
   */
  static boolean restart() {
    if (!Files.isWritable(CLEAR)) {
      return false;
    }
    try {
      Files.writeString(CLEAR, FORGET_PEAK, StandardOpenOption.WRITE);
      return true;
    } catch (IOException e) {
      return false;
    }
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
