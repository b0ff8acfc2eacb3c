package org.pretrain4j.trainer.parallel.backend;

import java.time.Duration;
import java.util.Map;
import java.util.function.Supplier;
import org.pretrain4j.configuration.Spelled;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.SoloCollectives;
import org.pretrain4j.trainer.parallel.cluster.Rendezvous;
import org.pretrain4j.trainer.parallel.cluster.Store;
import org.pretrain4j.trainer.parallel.cluster.World;
import org.pretrain4j.trainer.parallel.mpi.MpiCollectives;
import org.pretrain4j.trainer.parallel.nccl.NcclCollectives;
import org.pretrain4j.trainer.parallel.tcp.TcpCollectives;

/** The engines between processes, and the choice among them. */
public enum Backend {
  /** NCCL for buffers on GPUs; for host memory MPI where mpirun started the processes, else TCP. */
  AUTO,
  /** Ranks are threads of one process: {@link org.pretrain4j.trainer.parallel.InProcessGroup}. */
  @Spelled("in_process")
  IN_PROCESS,
  /** Host memory, processes that reach each other over TCP. */
  TCP,
  /** Host memory, processes that mpirun or srun --mpi=pmix started. */
  MPI,
  /** GPU memory. */
  NCCL;

  /** Where the buffers of collectives lie. */
  public enum Memory {
    HOST,
    GPU
  }

  /**
   * The engine to use; never AUTO.
   *
   * @throws UserException if this engine cannot serve such a world or such memory
   */
  public Backend choose(World world, Memory memory) {
    if (this == AUTO) {
      return world.isSingle() && memory == Memory.HOST ? IN_PROCESS : engine(world, memory);
    }
    if (this == IN_PROCESS && !world.isSingle()) {
      throw new UserException(
          "the collectives are in_process, but %s announces %d processes: start one process, or take auto, tcp or mpi"
              .formatted(world.source(), world.worldSize()));
    }
    if ((this == NCCL) != (memory == Memory.GPU) && !(this == IN_PROCESS && world.isSingle())) {
      throw new UserException(
          "the collectives are %s, but the buffers are in %s memory: take %s"
              .formatted(
                  name().toLowerCase(java.util.Locale.ROOT),
                  memory == Memory.GPU ? "GPU" : "host",
                  memory == Memory.GPU ? "nccl or auto" : "tcp, mpi or auto"));
    }
    return this;
  }

  private static Backend engine(World world, Memory memory) {
    if (memory == Memory.GPU) {
      return NCCL;
    }
    return world.source() == World.Source.OPEN_MPI ? MPI : TCP;
  }

  /**
   * Joins the other processes with the engine of {@link #choose}.
   *
   * @param run a name that all ranks of this start of the run share, and no other start
   * @param joining the longest to wait for all ranks to come
   * @param timeout the longest that a rank waits in one collective for the others
   * @throws UserException if a library is absent or the environment does not fit
   */
  public Membership join(
      World world,
      Memory memory,
      String run,
      Duration joining,
      Duration timeout,
      Map<String, String> environment) {
    return join(world, memory, () -> Rendezvous.join(world, run, joining), timeout, environment);
  }

  /**
   * Joins ranks that share a store.
   *
   * @param meet gives the store that all ranks share, once they have come; called only by engines
   *     that need one
   */
  Membership join(
      World world,
      Memory memory,
      Supplier<Store> meet,
      Duration timeout,
      Map<String, String> environment) {
    Backend engine = choose(world, memory);
    if (world.isSingle() && memory == Memory.HOST) {
      return new Membership(new SoloCollectives(), null);
    }
    if (engine == MPI) {
      return new Membership(
          MpiCollectives.join(world.rank(), world.worldSize(), timeout, environment), null);
    }
    Store store = meet.get();
    try {
      return new Membership(
          engine == NCCL
              ? NcclCollectives.join(
                  new StoreBoard(store, world.rank()),
                  world.rank(),
                  world.worldSize(),
                  world.localRank(),
                  timeout,
                  environment)
              : TcpCollectives.join(store, world.rank(), world.worldSize(), timeout),
          store);
    } catch (RuntimeException e) {
      store.close();
      throw e;
    }
  }
}
