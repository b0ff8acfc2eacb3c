package org.pretrain4j.trainer.device;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/**
 * The cores that this process may use. Two hyperthreads of a core share its matrix unit and its
 * second cache, so that a second compute thread there gains nothing.
 */
public final class Cores {
  private static final String ALLOWED = "Cpus_allowed_list:";

  private Cores() {}

  /**
   * Physical cores among the processors of this process on Linux, and never more than the
   * processors that the JVM counts, which knows the limits of containers; elsewhere those
   * processors.
   */
  public static int available() {
    return available(Path.of("/"), Runtime.getRuntime().availableProcessors());
  }

  static int available(Path root, int processors) {
    try {
      Set<String> cores = new HashSet<>();
      for (String range : allowed(root.resolve("proc/self/status")).split(",")) {
        String[] ends = range.strip().split("-");
        int last = Integer.parseInt(ends[ends.length - 1]);
        for (int processor = Integer.parseInt(ends[0]); processor <= last; processor++) {
          cores.add(
              Files.readString(
                  root.resolve("sys/devices/system/cpu/cpu" + processor)
                      .resolve("topology/core_cpus_list")));
        }
      }
      return Math.min(cores.size(), processors);
    } catch (IOException | NumberFormatException e) {
      // Not every system tells.
      return processors;
    }
  }

  /** The list of processors, such as {@code 0-3,8}. */
  private static String allowed(Path status) throws IOException {
    for (String line : Files.readAllLines(status)) {
      if (line.startsWith(ALLOWED)) {
        return line.substring(ALLOWED.length());
      }
    }
    return "";
  }
}
