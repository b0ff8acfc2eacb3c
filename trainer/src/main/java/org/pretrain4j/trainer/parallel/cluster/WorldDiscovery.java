package org.pretrain4j.trainer.parallel.cluster;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.pretrain4j.configuration.UserException;

/** Reads the world from a launcher's environment variables. */
final class WorldDiscovery {
  private final Map<String, String> environment;

  WorldDiscovery(Map<String, String> environment) {
    this.environment = environment;
  }

  World discover() {
    List<World> seen = new ArrayList<>();
    if (anySet("RANK", "WORLD_SIZE")) {
      seen.add(torchrun());
    }
    // Without a step these describe the job of a batch script, which is no rank itself.
    if (anySet("SLURM_STEP_NUM_TASKS")) {
      seen.add(slurm());
    }
    if (anySet("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")) {
      seen.add(openMpi());
    }
    if (seen.isEmpty()) {
      return World.single();
    }
    World first = seen.getFirst();
    for (World other : seen) {
      boolean agree = other.rank() == first.rank() && other.worldSize() == first.worldSize();
      if (!agree) {
        if (other.source() == World.Source.SLURM && startsLaunchers()) {
          continue;
        }
        if (first.source() == World.Source.SLURM && startsLaunchers()) {
          first = other;
          continue;
        }
        throw new UserException(
            "the environment contradicts itself: %s say rank %d of %d, %s say rank %d of %d; unset those that are wrong"
                .formatted(
                    names(first.source()),
                    first.rank(),
                    first.worldSize(),
                    names(other.source()),
                    other.rank(),
                    other.worldSize()));
      }
    }
    return first;
  }

  /** One task a node that starts the ranks there, as mpirun's daemons or a supervisor do. */
  private boolean startsLaunchers() {
    return number("SLURM_STEP_NUM_TASKS") == number("SLURM_STEP_NUM_NODES");
  }

  private static String names(World.Source source) {
    return switch (source) {
      case TORCHRUN -> "RANK and WORLD_SIZE";
      case SLURM -> "SLURM_PROCID and SLURM_STEP_NUM_TASKS";
      case OPEN_MPI -> "OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE";
      case NONE -> "no variables";
    };
  }

  private World torchrun() {
    int rank = number("RANK");
    int size = number("WORLD_SIZE");
    String address = environment.get("MASTER_ADDR");
    if (address == null && size > 1) {
      throw new UserException(
          "RANK=%d and WORLD_SIZE=%d are set, but MASTER_ADDR is not: set it to the host of rank 0"
              .formatted(rank, size));
    }
    int localRank = anySet("LOCAL_RANK") ? number("LOCAL_RANK") : 0;
    return new World(
        rank,
        size,
        localRank,
        address == null ? "127.0.0.1" : address,
        port(World.DEFAULT_PORT),
        World.Source.TORCHRUN);
  }

  private World slurm() {
    String nodes = environment.get("SLURM_STEP_NODELIST");
    String address = environment.get("MASTER_ADDR");
    if (address == null && nodes != null) {
      address = firstHost(nodes);
    }
    // Another port for another job: two jobs may share a machine.
    int job = anySet("SLURM_JOB_ID") ? number("SLURM_JOB_ID") : 0;
    return new World(
        number("SLURM_PROCID"),
        number("SLURM_STEP_NUM_TASKS"),
        anySet("SLURM_LOCALID") ? number("SLURM_LOCALID") : 0,
        address,
        port(World.DEFAULT_PORT + job % 1000),
        World.Source.SLURM);
  }

  private World openMpi() {
    boolean local = anySet("OMPI_COMM_WORLD_LOCAL_RANK");
    return new World(
        number("OMPI_COMM_WORLD_RANK"),
        number("OMPI_COMM_WORLD_SIZE"),
        local ? number("OMPI_COMM_WORLD_LOCAL_RANK") : 0,
        environment.get("MASTER_ADDR"),
        port(World.DEFAULT_PORT),
        World.Source.OPEN_MPI);
  }

  private int port(int otherwise) {
    return anySet("MASTER_PORT") ? number("MASTER_PORT") : otherwise;
  }

  /** The first name of a list such as {@code gpu[07-12,15],login1}. */
  static String firstHost(String nodes) {
    int bracket = nodes.indexOf('[');
    int comma = nodes.indexOf(',');
    if (bracket < 0 || (comma >= 0 && comma < bracket)) {
      return comma < 0 ? nodes : nodes.substring(0, comma);
    }
    int end = bracket + 1;
    while (end < nodes.length() && Character.isDigit(nodes.charAt(end))) {
      end++;
    }
    int close = nodes.indexOf(']', end);
    if (end == bracket + 1 || close < 0) {
      throw new UserException(
          "the first host of SLURM_STEP_NODELIST=" + nodes + " is not clear: set MASTER_ADDR");
    }
    int after = nodes.indexOf(',', close);
    String suffix = nodes.substring(close + 1, after < 0 ? nodes.length() : after);
    return nodes.substring(0, bracket) + nodes.substring(bracket + 1, end) + suffix;
  }

  private boolean anySet(String... names) {
    for (String name : names) {
      if (environment.containsKey(name)) {
        return true;
      }
    }
    return false;
  }

  /** The first of these variables that is set. */
  int number(List<String> names, int otherwise) {
    for (String name : names) {
      if (anySet(name)) {
        return number(name);
      }
    }
    return otherwise;
  }

  private int number(String name) {
    String text = environment.get(name);
    if (text == null) {
      throw new UserException(name + " is missing in the environment, its companions are set");
    }
    try {
      return Integer.parseInt(text.strip());
    } catch (NumberFormatException e) {
      throw new UserException(
          name + "=" + text + " in the environment; expected a whole number", e);
    }
  }
}
