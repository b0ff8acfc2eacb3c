package org.pretrain4j.launch;

import java.io.PrintStream;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Lines of output that stay, and on a terminal one line below them that is written over. A log
 * message erases the live line (the console's log layout begins with the same control characters),
 * and the next update writes it again below. Where the output is no terminal there is no live line,
 * and no control characters.
 */
final class LiveLine implements AutoCloseable {
  /** Back to the left, and clear the line. */
  static final String ERASE = "\r\u001b[K";

  /** What the launcher has found out. */
  static final boolean STANDARD_OUTPUT_IS_TERMINAL = Boolean.getBoolean("pretrain4j.terminal");

  private static final long INTERVAL_NANOS = Duration.ofMillis(200).toNanos();

  private final PrintStream out;
  private final boolean terminal;
  private final LongSupplier nanoTime;
  private long lastUpdate;
  private boolean updated;

  /**
   * @param terminal whether out is a terminal
   * @param nanoTime the clock, as {@link System#nanoTime}
   */
  LiveLine(PrintStream out, boolean terminal, LongSupplier nanoTime) {
    this.out = out;
    this.terminal = terminal;
    this.nanoTime = nanoTime;
  }

  static LiveLine onStandardOutput() {
    return new LiveLine(System.out, STANDARD_OUTPUT_IS_TERMINAL, System::nanoTime);
  }

  boolean terminal() {
    return terminal;
  }

  long nanoTime() {
    return nanoTime.getAsLong();
  }

  /** Prints a line that stays. */
  void print(String line) {
    out.println(terminal ? ERASE + line : line);
    out.flush();
  }

  /** Replaces the live line, unless the last one is younger than a blink. */
  void update(String line) {
    long now = nanoTime.getAsLong();
    if (terminal && (!updated || now - lastUpdate >= INTERVAL_NANOS)) {
      out.print(ERASE + line);
      out.flush();
      lastUpdate = now;
      updated = true;
    }
  }

  /** Erases the live line. */
  @Override
  public void close() {
    if (updated) {
      out.print(ERASE);
      out.flush();
    }
  }
}
