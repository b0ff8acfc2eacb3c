package org.pretrain4j.trainer.machine;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** The memory of this process, as the operating system counts it. */
public final class PeakMemory {
  private static final Logger LOG = LogManager.getLogger();
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
   * Lets {@link #bytes} start again from what is resident now, after malloc has given back what it
   * keeps of memory that was freed.
   *
   * @return whether the system does that; if not, the figure stays that of the whole process
   */
  public static boolean restart() {
    if (!Files.isWritable(CLEAR)) {
      return false;
    }
    trim();
    try {
      Files.writeString(CLEAR, FORGET_PEAK, StandardOpenOption.WRITE);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /** Where there is glibc. */
  @SuppressWarnings("restricted")
  private static void trim() {
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> function = linker.defaultLookup().find("malloc_trim");
    if (function.isEmpty()) {
      return;
    }
    MethodHandle trim =
        linker.downcallHandle(
            function.get(), FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG));
    try {
      int released = (int) trim.invokeExact(0L);
      LOG.debug("malloc_trim gave memory back: {}", released == 1);
    } catch (Throwable e) {
      throw new IllegalStateException("malloc_trim", e);
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
