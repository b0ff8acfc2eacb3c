package org.pretrain4j.launch;

import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.bench.RankBench;
import org.pretrain4j.trainer.bench.RankReport;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.backend.Backend;
import org.pretrain4j.trainer.parallel.backend.Membership;
import org.pretrain4j.trainer.parallel.cluster.World;

/**
 * Runs a measurement of several ranks in processes of their own, so that the peak of memory is that
 * of this world alone: started by mpirun, by hand with torchrun's variables, or as threads of one.
 */
final class RankBenchRunner {
  private static final Duration TIMEOUT = Duration.ofMinutes(2);
  private static final long LONGEST_MINUTES = 60;

  private final Backend engine;
  private final List<String> arguments;

  /**
   * @param engine between the ranks
   * @param arguments of the command line that make a process a rank of the measurement
   */
  RankBenchRunner(Backend engine, List<String> arguments) {
    this.engine = engine;
    this.arguments = arguments;
  }

  /**
   * Takes part in a measurement as what the environment says this process is.
   *
   * @return what was measured, on one rank of all
   */
  static RankReport take(RankBench bench, Backend engine, int ranks) {
    AtomicReference<RankReport> report = new AtomicReference<>();
    try {
      if (engine == Backend.IN_PROCESS) {
        InProcessGroup.run(
            ranks,
            TIMEOUT,
            collectives -> {
              RankReport own = bench.run(collectives, name(engine));
              if (collectives.rank() == 0) {
                report.set(own);
              }
            });
      } else {
        World world = World.discover(System.getenv());
        try (Membership membership =
            engine.join(world, Backend.Memory.HOST, "bench", TIMEOUT, TIMEOUT, System.getenv())) {
          RankReport own = bench.run(membership.collectives(), name(engine));
          if (world.rank() == 0) {
            report.set(own);
          }
        }
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException("a rank failed", e);
    }
    return report.get();
  }

  private static String name(Backend engine) {
    return engine.name().toLowerCase(java.util.Locale.ROOT);
  }

  /**
   * Starts the ranks and waits for them.
   *
   * @param threads of each rank; its JVM sees so many processors
   */
  void run(int ranks, int threads) throws IOException {
    int processors = engine == Backend.IN_PROCESS ? ranks * threads : threads;
    List<String> rank = RankCommand.measuring(processors).with(arguments);
    List<ProcessBuilder> processes = new ArrayList<>();
    switch (engine) {
      case MPI -> processes.add(new ProcessBuilder(mpirun(ranks, rank)));
      case TCP -> {
        String port = Integer.toString(freePort());
        for (int i = 0; i < ranks; i++) {
          ProcessBuilder process = new ProcessBuilder(rank);
          process
              .environment()
              .putAll(
                  Map.of(
                      "RANK", Integer.toString(i),
                      "WORLD_SIZE", Integer.toString(ranks),
                      "LOCAL_RANK", Integer.toString(i),
                      "MASTER_ADDR", "127.0.0.1",
                      "MASTER_PORT", port));
          processes.add(process);
        }
      }
      default -> processes.add(new ProcessBuilder(rank));
    }
    await(processes);
  }

  private static List<String> mpirun(int ranks, List<String> rank) {
    boolean present =
        List.of(System.getenv().getOrDefault("PATH", "").split(":")).stream()
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, "mpirun")));
    if (!present) {
      throw new UserException(
          "--engine is mpi, but mpirun was not found; install Open MPI (Debian: apt-get install"
              + " openmpi-bin), or take tcp");
    }
    List<String> command = new ArrayList<>(List.of("mpirun", "-n", Integer.toString(ranks)));
    // Unbound: the JVM's own threads, such as its compilers, may use a core that idles.
    command.addAll(List.of("--bind-to", "none", "--oversubscribe"));
    if ("root".equals(System.getProperty("user.name"))) {
      command.add("--allow-run-as-root");
    }
    command.addAll(rank);
    return command;
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  private static void await(List<ProcessBuilder> builders) throws IOException {
    List<Process> processes = new ArrayList<>();
    try {
      for (ProcessBuilder builder : builders) {
        builder.redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.redirectOutput(ProcessBuilder.Redirect.DISCARD);
        Process process = builder.start();
        process.getOutputStream().close();
        processes.add(process);
      }
      for (Process process : processes) {
        if (!process.waitFor(LONGEST_MINUTES, TimeUnit.MINUTES)) {
          throw new IllegalStateException("the ranks did not end in " + LONGEST_MINUTES + " min");
        }
        if (process.exitValue() != 0) {
          throw new IllegalStateException(
              "a rank ended with exit code " + process.exitValue() + ", see above");
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while the ranks work", e);
    } finally {
      processes.forEach(Process::destroy);
    }
  }
}
