package org.pretrain4j.trainer.parallel.faults;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Reduction;
import org.pretrain4j.trainer.parallel.backend.Backend;
import org.pretrain4j.trainer.parallel.backend.Membership;
import org.pretrain4j.trainer.parallel.cluster.World;

/**
 * A small run as the trainer would do it: each step adds 1 + 2 over two ranks, its state is saved
 * at every step. Arguments: faults ("kind step rank, ..."; the n-th happens in the n-th attempt),
 * folder.
 */
final class SupervisedRank {
  private SupervisedRank() {}

  public static void main(String[] arguments) throws Exception {
    int attempt = Integer.parseInt(System.getenv(SupervisorConfig.ATTEMPT));
    Path records = Path.of(System.getenv(SupervisorConfig.RECORDS));
    Path state = Path.of(arguments[1], "state");
    World world = World.discover(System.getenv());
    FaultInjector faults = new FaultInjector(faults(arguments[0]), world.rank(), attempt);
    FlightRecorder recorder = new FlightRecorder(world.rank(), attempt);
    Duration timeout = Duration.ofSeconds(20);
    try (Watchdog watchdog =
            Watchdog.start(
                recorder,
                records,
                world.worldSize(),
                Duration.ofSeconds(60),
                hang -> Runtime.getRuntime().halt(hang.exitCode()));
        Membership membership =
            Backend.AUTO.join(
                world,
                Backend.Memory.HOST,
                "supervised/" + attempt,
                timeout,
                timeout,
                System.getenv());
        Collectives collectives = new MonitoredCollectives(membership.collectives(), recorder);
        Arena arena = Arena.ofShared()) {
      FlatBuffer buffer = FlatBuffer.of(arena.allocate(4, 64), ElementType.FLOAT32);
      String saved = Files.exists(state) ? Files.readString(state) : "0 0";
      int first = Integer.parseInt(saved.split(" ")[0]);
      float sum = Float.parseFloat(saved.split(" ")[1]);
      collectives.barrier();
      for (int step = first; step < 20; step++) {
        watchdog.recorder().step(step, "forward");
        faults.beginStep(step);
        buffer.segment().set(ValueLayout.JAVA_FLOAT, 0, world.rank() + 1f);
        collectives.allReduce(buffer, Reduction.SUM).await();
        sum += buffer.segment().get(ValueLayout.JAVA_FLOAT, 0);
        if (world.rank() == 0) {
          Files.writeString(state, (step + 1) + " " + sum);
        }
        collectives.barrier();
      }
      System.out.printf(Locale.ROOT, "sum after 20 steps: %.0f%n", sum);
    }
  }

  private static List<FaultInjection> faults(String text) {
    List<FaultInjection> faults = new ArrayList<>();
    for (String fault : text.split(", ")) {
      String[] words = fault.split(" ");
      faults.add(
          new FaultInjection(
              FaultInjection.Kind.valueOf(words[0].toUpperCase(Locale.ROOT)),
              Long.parseLong(words[1]),
              Integer.parseInt(words[2]),
              1,
              1,
              faults.size() + 1));
    }
    return faults;
  }
}
