package org.pretrain4j.trainer.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.pretrain4j.configuration.StorageException;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.faults.FaultInjector;
import org.pretrain4j.trainer.parallel.faults.FlightRecorder;
import org.pretrain4j.trainer.parallel.faults.MonitoredCollectives;
import org.pretrain4j.trainer.parallel.faults.SupervisorConfig;
import org.pretrain4j.trainer.parallel.faults.Watchdog;

/**
 * The signs of life of this process's ranks: their records, and the watchdog that ends the process
 * when one of them hangs.
 */
final class RankSigns implements AutoCloseable {
  /** Folder of the records in the run's folder, unless a supervisor names another one. */
  static final String FOLDER = "records";

  private final RunConfig config;
  private final int attempt;
  private final int firstRank;
  private final List<FlightRecorder> recorders;
  private final Watchdog watchdog;

  private RankSigns(
      RunConfig config,
      int attempt,
      int firstRank,
      List<FlightRecorder> recorders,
      Watchdog watchdog) {
    this.config = config;
    this.attempt = attempt;
    this.firstRank = firstRank;
    this.recorders = recorders;
    this.watchdog = watchdog;
  }

  /**
   * Starts to watch.
   *
   * @param firstRank of this process
   * @param count ranks of this process
   * @throws UserException if the records can't be written
   */
  static RankSigns start(
      RunConfig config, Map<String, String> environment, int firstRank, int count, int worldSize) {
    int attempt = attempt(environment);
    List<FlightRecorder> recorders =
        IntStream.range(firstRank, firstRank + count)
            .mapToObj(rank -> new FlightRecorder(rank, attempt))
            .toList();
    String named = environment.get(SupervisorConfig.RECORDS);
    Path folder =
        named == null ? Path.of(config.runFolder().orElseThrow(), FOLDER) : Path.of(named);
    try {
      Watchdog watchdog =
          Watchdog.start(
              recorders,
              folder,
              worldSize,
              config.parallelism().hangTimeout(),
              // Nothing else ends a process whose threads hang.
              hang -> Runtime.getRuntime().halt(hang.exitCode()));
      return new RankSigns(config, attempt, firstRank, recorders, watchdog);
    } catch (IOException e) {
      throw new StorageException(
          "the records of the ranks can't be written to " + folder + " (" + e.getMessage() + ")",
          e);
    }
  }

  /**
   * Which start of the run this is, from 1.
   *
   * @throws UserException if the environment says something else than a number
   */
  static int attempt(Map<String, String> environment) {
    String text = environment.getOrDefault(SupervisorConfig.ATTEMPT, "1");
    try {
      return Integer.parseInt(text.strip());
    } catch (NumberFormatException e) {
      throw new UserException(
          SupervisorConfig.ATTEMPT + "=" + text + " in the environment; expected a whole number",
          e);
    }
  }

  /** The rank's collectives with a record of what they do. */
  Collectives watch(Collectives engine) {
    return new MonitoredCollectives(engine, recorder(engine.rank()));
  }

  FlightRecorder recorder(int rank) {
    return recorders.get(rank - firstRank);
  }

  /** The faults that a rank of this process makes on purpose. */
  FaultInjector faults(int rank) {
    return new FaultInjector(config.faults(), rank, attempt);
  }

  /**
   * Leaves records and stacks behind where this failure is that of a rank that did not come, or
   * that ended because it hung.
   *
   * @param rank of this process that saw it
   */
  void describe(int rank, Throwable failure) {
    if (failure instanceof CollectiveException collective
        && (collective.kind() == CollectiveException.Kind.TIMEOUT || watchdog.isHangReported())) {
      watchdog.report(rank);
    }
  }

  @Override
  public void close() {
    watchdog.close();
  }
}
