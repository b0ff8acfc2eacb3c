package org.pretrain4j.trainer.parallel.backend;

import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Reduction;
import org.pretrain4j.trainer.parallel.cluster.RendezvousException;
import org.pretrain4j.trainer.parallel.cluster.World;

/**
 * Tries a cluster before a run pays for it: the ranks find each other, every one of them takes part
 * in each collective, the sums are right, and rank 0 prints who is there and how fast they talk.
 */
public final class ClusterCheck {
  private static final long[] ELEMENTS = {1, 16_384, 1 << 20, 1 << 23};
  private static final int REPETITIONS = 5;

  private ClusterCheck() {}

  /** Started as each rank by srun, mpirun or another launcher; takes no arguments. */
  public static void main(String[] arguments) {
    try {
      World world = World.discover(System.getenv());
      run(world, System.getenv(), System.out);
    } catch (UserException e) {
      System.err.println("error: " + e.getMessage());
      System.exit(2);
    } catch (CollectiveException | RendezvousException e) {
      System.err.println("error: " + e.getMessage());
      System.exit(1);
    }
  }

  /**
   * Checks host memory between the processes of this world.
   *
   * @throws CollectiveException if a rank is missing or a connection breaks
   * @throws IllegalStateException if a sum is wrong
   */
  public static void run(World world, Map<String, String> environment, PrintStream out) {
    Duration timeout = Duration.ofMinutes(1);
    String run = "cluster-check/" + environment.getOrDefault("PRETRAIN4J_ATTEMPT", "1");
    try (Membership membership =
        Backend.AUTO.join(
            world, Backend.Memory.HOST, run, Duration.ofMinutes(2), timeout, environment)) {
      Collectives collectives = membership.collectives();
      greet(collectives, world, out);
      for (long elements : ELEMENTS) {
        double seconds = check(collectives, elements);
        if (world.rank() == 0) {
          // Each rank sends and receives 2 (n-1)/n of the buffer in an all-reduce.
          int ranks = world.worldSize();
          double bytes = 2.0 * (ranks - 1) / ranks * elements * 4;
          out.println(
              String.format(
                  Locale.ROOT,
                  "all-reduce of %,11d bytes: %9.3f ms, %6.2f GB/s per rank",
                  elements * 4,
                  seconds * 1e3,
                  bytes / seconds / 1e9));
        }
      }
      collectives.barrier();
      if (world.rank() == 0) {
        out.println("ok: " + world.worldSize() + " ranks agree");
      }
    }
  }

  private static void greet(Collectives collectives, World world, PrintStream out) {
    List<String> hosts = new ArrayList<>();
    for (int rank = 0; rank < world.worldSize(); rank++) {
      byte[] mine = rank == world.rank() ? hostName().getBytes(StandardCharsets.UTF_8) : null;
      hosts.add(new String(collectives.broadcastBytes(mine, rank), StandardCharsets.UTF_8));
    }
    if (world.rank() == 0) {
      out.println("world of " + world.worldSize() + " from " + world.source() + ": " + hosts);
    }
  }

  private static String hostName() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (java.net.UnknownHostException e) {
      return "host without a name";
    }
  }

  /** Sums rank + 1 over all ranks, n(n+1)/2; gives the seconds of an all-reduce. */
  private static double check(Collectives collectives, long elements) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment memory = arena.allocate(elements * 4, 64);
      FlatBuffer buffer = FlatBuffer.of(memory, ElementType.FLOAT32);
      float expected = collectives.worldSize() * (collectives.worldSize() + 1) / 2f;
      double best = Double.POSITIVE_INFINITY;
      for (int i = 0; i < REPETITIONS; i++) {
        for (long e = 0; e < elements; e++) {
          memory.setAtIndex(ValueLayout.JAVA_FLOAT, e, collectives.rank() + 1);
        }
        collectives.barrier();
        long start = System.nanoTime();
        collectives.allReduce(buffer, Reduction.SUM).await();
        best = Math.min(best, (System.nanoTime() - start) / 1e9);
        for (long e = 0; e < elements; e++) {
          float sum = memory.getAtIndex(ValueLayout.JAVA_FLOAT, e);
          if (sum != expected) {
            throw new IllegalStateException(
                "rank %d: element %d of an all-reduce of %d is %s instead of %s"
                    .formatted(collectives.rank(), e, elements, sum, expected));
          }
        }
      }
      return best;
    }
  }
}
