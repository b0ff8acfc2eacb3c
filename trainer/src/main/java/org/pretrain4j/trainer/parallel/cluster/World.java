package org.pretrain4j.trainer.parallel.cluster;

import java.util.List;
import java.util.Map;
import org.pretrain4j.configuration.UserException;

/**
 * This process among those of the run, or, after {@link #rankOf}, one of its ranks among all.
 *
 * @param rank from 0 to worldSize - 1
 * @param worldSize number of processes
 * @param localRank among those of this machine; also the number of the GPU to take
 * @param masterAddress host of rank 0; null if the launcher doesn't say
 * @param masterPort TCP port of rank 0's rendezvous
 * @param source who said so
 */
public record World(
    int rank, int worldSize, int localRank, String masterAddress, int masterPort, Source source) {

  /** Default of MASTER_PORT. */
  public static final int DEFAULT_PORT = 29_500;

  /** Launchers, in the order in which they are looked for. */
  public enum Source {
    /** RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT. */
    TORCHRUN,
    /** SLURM_PROCID and the step's other variables, as srun sets them. */
    SLURM,
    /** OMPI_COMM_WORLD_RANK and others, as mpirun sets them. */
    OPEN_MPI,
    /** Nobody: one process. */
    NONE
  }

  public World {
    if (worldSize < 1 || rank < 0 || rank >= worldSize) {
      throw new UserException(
          "%s announces rank %d in a world of %d; ranks go from 0 to %d"
              .formatted(source, rank, worldSize, worldSize - 1));
    }
    if (localRank < 0 || localRank >= worldSize) {
      throw new UserException(
          "%s announces local rank %d in a world of %d".formatted(source, localRank, worldSize));
    }
    if (masterPort < 1 || masterPort > 65_535) {
      throw new UserException("MASTER_PORT is " + masterPort + "; a port is from 1 to 65535");
    }
  }

  /** One process alone. */
  public static World single() {
    return new World(0, 1, 0, "127.0.0.1", DEFAULT_PORT, Source.NONE);
  }

  /**
   * What the environment says: torchrun's variables first, then Slurm's, then Open MPI's, else one
   * process.
   *
   * @throws UserException if variables are missing, are no numbers, or contradict each other; it
   *     says what it saw
   */
  public static World discover(Map<String, String> environment) {
    return new WorldDiscovery(environment).discover();
  }

  /**
   * Processes of the run on this machine that share all of its processors; 1 where the launcher
   * doesn't say or, like srun, gives each its own.
   */
  public static int localRanks(Map<String, String> environment) {
    WorldDiscovery found = new WorldDiscovery(environment);
    return Math.max(1, found.number(List.of("LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"), 1));
  }

  /**
   * The place of a rank that is a thread of this process, where every process has equally many:
   * those of process 0 come first, then those of process 1.
   *
   * @param thread from 0 to ranksPerProcess - 1
   */
  public World rankOf(int thread, int ranksPerProcess) {
    return new World(
        Math.addExact(Math.multiplyExact(rank, ranksPerProcess), thread),
        Math.multiplyExact(worldSize, ranksPerProcess),
        localRank * ranksPerProcess + thread,
        masterAddress,
        masterPort,
        source);
  }

  /** Whether this is one process alone. */
  public boolean isSingle() {
    return worldSize == 1;
  }
}
