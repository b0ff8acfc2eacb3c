package org.pretrain4j.trainer.parallel.faults;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.pretrain4j.configuration.UserException;

/**
 * What a {@link Supervisor} starts, and when it gives up.
 *
 * @param processes how many
 * @param ranksPerProcess ranks of each of them, as its threads
 * @param command of each process
 * @param environment added to the supervisor's own
 * @param records folder of the ranks' flight records
 * @param hangTimeout the longest that no rank goes on
 * @param startTimeout the longest from the start of a process to its first record; processes
 *     without records are never taken for hanging if this is zero
 * @param grace time between SIGTERM and SIGKILL
 * @param restarts how often in a row the run is started again without getting beyond the last
 *     attempt's step
 * @param backoff pause before the first restart; doubles each time, up to a minute
 * @param finalExitCodes after which starting again is of no use
 */
public record SupervisorConfig(
    int processes,
    int ranksPerProcess,
    List<String> command,
    Map<String, String> environment,
    Path records,
    Duration hangTimeout,
    Duration startTimeout,
    Duration grace,
    int restarts,
    Duration backoff,
    Set<Integer> finalExitCodes) {

  /** Environment variable with the number of the attempt, from 1. */
  public static final String ATTEMPT = "PRETRAIN4J_ATTEMPT";

  /** Environment variable with the folder of flight records. */
  public static final String RECORDS = "PRETRAIN4J_RECORDS";

  /** Environment variable with the process number of the supervisor. */
  public static final String SUPERVISOR = "PRETRAIN4J_SUPERVISOR";

  /** Exit codes of the program after which starting again is of no use. */
  public static final Set<Integer> FINAL = Set.of(2, 4, Supervisor.SAVED);

  public SupervisorConfig {
    if (processes < 1) {
      throw new UserException("--ranks is " + processes + ", expected 1 or more");
    }
    if (ranksPerProcess < 1) {
      throw new UserException("a process with " + ranksPerProcess + " ranks, expected 1 or more");
    }
    if (restarts < 0) {
      throw new UserException("the number of restarts is " + restarts + ", expected 0 or more");
    }
    command = List.copyOf(command);
    environment = Map.copyOf(environment);
    finalExitCodes = Set.copyOf(finalExitCodes);
  }

  /** Ranks of all processes. */
  int ranks() {
    return processes * ranksPerProcess;
  }

  /** A usual configuration of processes that are a rank each. */
  public static SupervisorConfig of(int ranks, List<String> command, Path records) {
    return new SupervisorConfig(
        ranks,
        1,
        command,
        Map.of(),
        records,
        Duration.ofMinutes(10),
        Duration.ofMinutes(10),
        Duration.ofSeconds(30),
        5,
        Duration.ofSeconds(1),
        FINAL);
  }
}
