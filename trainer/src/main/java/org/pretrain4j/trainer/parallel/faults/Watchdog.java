package org.pretrain4j.trainer.parallel.faults;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * The heart of a process's ranks, of one or of several that are its threads: writes their records
 * once a second, and when a rank has not gone on for too long, writes where it hangs (record and
 * thread dump), names the culprit and tells the ranks' owner. It shares nothing with the threads it
 * watches, so it works while they hang.
 */
public final class Watchdog implements AutoCloseable {
  /** What was found when the rank hung. */
  public record Hang(FlightRecord record, Culprits culprits, Path dump) {
    /**
     * How its process is to end: as one that hangs, or as one that another rank's hang has ended,
     * so that one hang is one failure, however many ranks wait.
     */
    public int exitCode() {
      boolean only = record.waiting() && !culprits.isEmpty();
      return only && !culprits.reasons().containsKey(record.rank())
          ? Supervisor.OTHER_RANK
          : Supervisor.HUNG;
    }

    /** One line. */
    public String describe() {
      return "rank %d hangs (%s); %s; thread dump in %s"
          .formatted(record.rank(), record.where(), culprits, dump);
    }
  }

  private static final Logger LOG = LogManager.getLogger();
  private static final Duration BEAT = Duration.ofSeconds(1);

  /** A file system that hangs must not keep a rank that leaves. */
  private static final Duration LAST_WRITE = Duration.ofSeconds(5);

  private static final Duration OTHERS = Duration.ofSeconds(2);

  private static final Duration SILENCE = Duration.ofSeconds(10);

  private final List<FlightRecorder> recorders;
  private final Path folder;
  private final int worldSize;
  private final Duration timeout;
  private final Consumer<Hang> onHang;
  private final Thread thread;
  private final long startMillis = System.currentTimeMillis();
  private volatile boolean closed;
  private boolean toldOfFolder;

  private Watchdog(
      List<FlightRecorder> recorders,
      Path folder,
      int worldSize,
      Duration timeout,
      Consumer<Hang> onHang) {
    this.recorders = List.copyOf(recorders);
    this.folder = folder;
    this.worldSize = worldSize;
    this.timeout = timeout;
    this.onHang = onHang;
    thread = Thread.ofPlatform().daemon().name("watchdog").unstarted(this::run);
  }

  /** Starts to watch a process that is one rank. */
  public static Watchdog start(
      FlightRecorder recorder, Path folder, int worldSize, Duration timeout, Consumer<Hang> onHang)
      throws IOException {
    return start(List.of(recorder), folder, worldSize, timeout, onHang);
  }

  /**
   * Starts to watch.
   *
   * @param recorders of the ranks of this process
   * @param folder for the records of all ranks; shared by all machines if the culprit may be on
   *     another one
   * @param timeout the longest that a rank may stay at one place
   * @param onHang called once, from the watchdog's thread; ends the process, as nothing else can
   */
  public static Watchdog start(
      List<FlightRecorder> recorders,
      Path folder,
      int worldSize,
      Duration timeout,
      Consumer<Hang> onHang)
      throws IOException {
    Files.createDirectories(folder);
    for (FlightRecorder recorder : recorders) {
      recorder.record().write(folder);
    }
    Watchdog watchdog = new Watchdog(recorders, folder, worldSize, timeout, onHang);
    watchdog.thread.start();
    return watchdog;
  }

  /** The age from which on a record is that of a frozen or dead process. */
  static Duration silence(Duration timeout) {
    Duration half = timeout.dividedBy(2); // before the process counts as hanging
    return half.compareTo(SILENCE) < 0 ? half : SILENCE;
  }

  /** Where the first of the watched ranks says what it does. */
  public FlightRecorder recorder() {
    return recorders.getFirst();
  }

  private void run() {
    while (!closed) {
      LockSupport.parkNanos(Math.min(BEAT.toNanos(), timeout.toNanos() / 4));
      boolean hangs = false;
      List<FlightRecord> records = recorders.stream().map(FlightRecorder::record).toList();
      for (FlightRecord record : records) {
        write(record);
        hangs |= record.beatMillis() - record.sinceMillis() > timeout.toMillis();
      }
      if (hangs && !closed) {
        Hang hang = report(worst(records));
        stay();
        if (!closed) {
          onHang.accept(hang);
        }
        return;
      }
    }
  }

  /** The one of this process's ranks to speak of: one that waits for nobody, the longest there. */
  private static FlightRecord worst(List<FlightRecord> records) {
    return records.stream()
        .min(
            Comparator.comparing(FlightRecord::waiting)
                .thenComparingLong(FlightRecord::collectives)
                .thenComparingLong(FlightRecord::sinceMillis))
        .orElseThrow();
  }

  /** Gives the other ranks' watchdogs the time to describe the same hang while this one lives. */
  private void stay() {
    long end = System.nanoTime() + OTHERS.toNanos();
    while (!closed && System.nanoTime() - end < 0) {
      recorders.forEach(recorder -> write(recorder.record()));
      LockSupport.parkNanos(OTHERS.toNanos() / 10);
    }
  }

  /** One at a time: ranks that are threads may report while the watchdog's own thread writes. */
  private synchronized void write(FlightRecord record) {
    try {
      record.write(folder);
    } catch (IOException e) {
      if (!toldOfFolder) {
        LOG.warn("rank {} cannot write its record: {}", record.rank(), e.toString());
      }
      toldOfFolder = true;
    }
  }

  /** Whether a rank has described a hang since this watch began. */
  public boolean isHangReported() {
    for (int rank = 0; rank < worldSize; rank++) {
      if (dumpOf(rank).toFile().lastModified() >= startMillis) {
        return true;
      }
    }
    return false;
  }

  private Path dumpOf(int rank) {
    return folder.resolve("hang-rank-" + rank + ".txt");
  }

  /**
   * Writes the records of this process's ranks and the stacks of its threads, and names the culprit
   * in the log; for a rank that gives up before it counts as hanging.
   *
   * @param rank of this process
   */
  public Hang report(int rank) {
    recorders.forEach(recorder -> write(recorder.record()));
    return report(
        recorders.stream()
            .map(FlightRecorder::record)
            .filter(record -> record.rank() == rank)
            .findFirst()
            .orElseThrow());
  }

  private synchronized Hang report(FlightRecord record) {
    Path dump = dumpOf(record.rank());
    Culprits culprits = new Culprits(Map.of());
    try {
      Map<Integer, FlightRecord> records = FlightRecord.readAll(folder, worldSize);
      culprits = Culprits.find(records, worldSize, silence(timeout), System.currentTimeMillis());
      StringBuilder text = new StringBuilder();
      text.append("rank ").append(record.rank()).append(": ").append(record.where()).append('\n');
      text.append("culprit: ").append(culprits).append("\n\nall ranks:\n");
      records
          .values()
          .forEach(r -> text.append(r.rank()).append(": ").append(r.where()).append('\n'));
      text.append("\nthreads:\n").append(threads());
      Files.writeString(dump, text);
    } catch (IOException e) {
      LOG.warn("rank {} cannot write where it hangs: {}", record.rank(), e.toString());
    }
    Hang hang = new Hang(record, culprits, dump);
    LOG.error(hang.describe());
    return hang;
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

  /** Ends the watch; no record is written afterwards. */
  @Override
  public void close() {
    closed = true;
    LockSupport.unpark(thread);
    try {
      thread.join(LAST_WRITE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
