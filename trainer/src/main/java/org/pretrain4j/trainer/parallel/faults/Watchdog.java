package org.pretrain4j.trainer.parallel.faults;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * A rank's heart: writes its record once a second, and when the rank has not gone on for too long,
 * writes where it hangs (record and thread dump), names the culprit and tells the rank's owner. It
 * shares nothing with the threads it watches, so it works while they hang.
 */
public final class Watchdog implements AutoCloseable {
  /** What was found when the rank hung. */
  public record Hang(FlightRecord record, Culprits culprits, Path dump) {
    /** One line. */
    public String describe() {
      return "rank %d hangs (%s); %s; thread dump in %s"
          .formatted(record.rank(), record.where(), culprits, dump);
    }
  }

  private static final Logger LOG = LogManager.getLogger();
  private static final Duration BEAT = Duration.ofSeconds(1);

  private static final Duration SILENCE = Duration.ofSeconds(10);

  private final FlightRecorder recorder;
  private final Path folder;
  private final int worldSize;
  private final Duration timeout;
  private final Consumer<Hang> onHang;
  private final Thread thread;
  private volatile boolean closed;

  private Watchdog(
      FlightRecorder recorder,
      Path folder,
      int worldSize,
      Duration timeout,
      Consumer<Hang> onHang) {
    this.recorder = recorder;
    this.folder = folder;
    this.worldSize = worldSize;
    this.timeout = timeout;
    this.onHang = onHang;
    thread = Thread.ofPlatform().daemon().name("watchdog").unstarted(this::run);
  }

  /**
   * Starts to watch.
   *
   * @param folder for the records of all ranks; shared by all machines if the culprit may be on
   *     another one
   * @param timeout the longest that a rank may stay at one place
   * @param onHang called once, from the watchdog's thread; ends the process, as nothing else can
   */
  public static Watchdog start(
      FlightRecorder recorder, Path folder, int worldSize, Duration timeout, Consumer<Hang> onHang)
      throws IOException {
    Files.createDirectories(folder);
    recorder.record().write(folder);
    Watchdog watchdog = new Watchdog(recorder, folder, worldSize, timeout, onHang);
    watchdog.thread.start();
    return watchdog;
  }

  /** The age from which on a record is that of a frozen or dead process. */
  static Duration silence(Duration timeout) {
    Duration half = timeout.dividedBy(2); // before the process counts as hanging
    return half.compareTo(SILENCE) < 0 ? half : SILENCE;
  }

  /** Where the watched rank says what it does. */
  public FlightRecorder recorder() {
    return recorder;
  }

  private void run() {
    while (!closed) {
      LockSupport.parkNanos(Math.min(BEAT.toNanos(), timeout.toNanos() / 4));
      FlightRecord record = recorder.record();
      try {
        record.write(folder);
        if (record.beatMillis() - record.sinceMillis() > timeout.toMillis()) {
          report(record);
          return;
        }
      } catch (IOException | RuntimeException e) {
        LOG.warn("rank {} cannot write its record: {}", record.rank(), e.toString());
      }
    }
  }

  private void report(FlightRecord record) throws IOException {
    Path dump = folder.resolve("hang-rank-" + record.rank() + ".txt");
    Map<Integer, FlightRecord> records = FlightRecord.readAll(folder, worldSize);
    Culprits culprits =
        Culprits.find(records, worldSize, silence(timeout), System.currentTimeMillis());
    StringBuilder text = new StringBuilder();
    text.append("rank ").append(record.rank()).append(": ").append(record.where()).append('\n');
    text.append("culprit: ").append(culprits).append("\n\nall ranks:\n");
    records
        .values()
        .forEach(r -> text.append(r.rank()).append(": ").append(r.where()).append('\n'));
    text.append("\nthreads:\n").append(threads());
    Files.writeString(dump, text);
    Hang hang = new Hang(record, culprits, dump);
    LOG.error(hang.describe());
    onHang.accept(hang);
  }

  /** All platform threads with their stacks. */
  static String threads() {
    StringBuilder text = new StringBuilder();
    Map<String, StackTraceElement[]> stacks = new TreeMap<>();
    Thread.getAllStackTraces()
        .forEach(
            (thread, stack) ->
                stacks.put("\"%s\" %s".formatted(thread.getName(), thread.getState()), stack));
    stacks.forEach(
        (name, stack) -> {
          text.append(name).append('\n');
          Arrays.stream(stack).forEach(e -> text.append("    at ").append(e).append('\n'));
        });
    return text.toString();
  }

  @Override
  public void close() {
    closed = true;
    LockSupport.unpark(thread);
  }
}
