package org.pretrain4j.trainer.parallel.mpi;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.RankExercise;
import org.pretrain4j.trainer.parallel.Reduction;

/**
 * One of the processes that {@link MpiCollectivesTest} starts: scenario, folder for what it saw.
 */
final class MpiRank {
  private MpiRank() {}

  public static void main(String[] arguments) throws Exception {
    int rank = Integer.parseInt(System.getenv("OMPI_COMM_WORLD_RANK"));
    int size = Integer.parseInt(System.getenv("OMPI_COMM_WORLD_SIZE"));
    Duration timeout = Duration.ofSeconds(arguments[0].equals("agree") ? 60 : 3);
    Path seen = Path.of(arguments[1], "rank-" + rank);
    MpiCollectives collectives = MpiCollectives.join(rank, size, timeout, System.getenv());
    try (Arena arena = Arena.ofShared()) {
      collectives.barrier();
      FlatBuffer buffer = FlatBuffer.of(arena.allocate(400_000), ElementType.FLOAT32);
      boolean odd = rank == 1;
      String result = "";
      switch (arguments[0]) {
        case "agree" -> result = Long.toString(RankExercise.run(collectives, 77));
        case "fail" -> {
          if (odd) {
            collectives.abort("made to fail");
            throw new IllegalStateException("made to fail");
          }
          collectives.allReduce(buffer, Reduction.SUM).await();
        }
        case "hang" -> {
          if (odd) {
            Thread.sleep(60_000);
          }
          collectives.allReduce(buffer, Reduction.SUM).await();
        }
        case "mismatch" -> {
          if (odd) {
            collectives.barrier();
          }
          collectives.allReduce(buffer, Reduction.SUM).await();
        }
        case "leave" -> {
          if (!odd) {
            collectives.allReduce(buffer, Reduction.SUM).await();
          }
        }
        default -> throw new IllegalArgumentException(arguments[0]);
      }
      collectives.close();
      Files.writeString(seen, result);
    } catch (CollectiveException e) {
      Files.writeString(seen, e.kind() + " " + e.culprits() + " " + e.getMessage());
      Thread.sleep(1000); // the first process to exit makes mpirun end the others
      System.exit(3);
    }
  }
}
