package org.pretrain4j.trainer.parallel.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.ServerSocket;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.RankThreads;
import org.pretrain4j.trainer.parallel.SoloCollectives;
import org.pretrain4j.trainer.parallel.backend.Backend.Memory;
import org.pretrain4j.trainer.parallel.cluster.World;

@Timeout(60)
class BackendTest {
  private static final Duration LONG = Duration.ofSeconds(30);

  private static World world(int size, World.Source source) {
    return new World(0, size, 0, "localhost", 29_500, source);
  }

  @ParameterizedTest
  @CsvSource({
    "AUTO, 1, NONE, HOST, IN_PROCESS",
    "AUTO, 1, NONE, GPU, NCCL",
    "AUTO, 4, TORCHRUN, HOST, TCP",
    "AUTO, 4, SLURM, HOST, TCP",
    "AUTO, 4, OPEN_MPI, HOST, MPI",
    "AUTO, 4, OPEN_MPI, GPU, NCCL",
    "AUTO, 4, SLURM, GPU, NCCL",
    "MPI, 4, SLURM, HOST, MPI",
    "TCP, 4, OPEN_MPI, HOST, TCP",
    "IN_PROCESS, 1, NONE, HOST, IN_PROCESS"
  })
  void theEngineFollowsFromTheWorldAndTheMemory(
      Backend asked, int size, World.Source source, Memory memory, Backend chosen) {
    assertEquals(chosen, asked.choose(world(size, source), memory));
  }

  @Test
  void whatDoesNotFitIsAMistakeToMend() {
    World four = world(4, World.Source.SLURM);
    assertEquals(
        "the collectives are in_process, but SLURM announces 4 processes: start one process, or"
            + " take auto, tcp or mpi",
        assertThrows(UserException.class, () -> Backend.IN_PROCESS.choose(four, Memory.HOST))
            .getMessage());
    assertEquals(
        "the collectives are nccl, but the buffers are in host memory: take tcp, mpi or auto",
        assertThrows(UserException.class, () -> Backend.NCCL.choose(four, Memory.HOST))
            .getMessage());
    assertEquals(
        "the collectives are mpi, but the buffers are in GPU memory: take nccl or auto",
        assertThrows(UserException.class, () -> Backend.MPI.choose(four, Memory.GPU)).getMessage());
  }

  @Test
  void oneProcessNeedsNobody() {
    World world = World.single();
    try (Membership membership =
        Backend.AUTO.join(world, Memory.HOST, "run", LONG, LONG, Map.of())) {
      assertTrue(membership.collectives() instanceof SoloCollectives);
      assertTrue(membership.store().isEmpty());
    }
  }

  @Test
  void twoProcessesOfTorchrunsVariablesMeet() throws Exception {
    int port;
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<Long> first = threads.submit(() -> sum(0, port));
      Future<Long> second = threads.submit(() -> sum(1, port));
      assertEquals(110, first.get());
      assertEquals(110, second.get());
    }
  }

  @Test
  void ranksOfASingleProcessMeetWithoutAPort() throws Exception {
    LocalRanks ranks = new LocalRanks(World.single(), 3);
    List<Membership> members = ranks.join(Backend.TCP, Memory.HOST, "run", LONG, LONG, Map.of());
    List<Long> sums = new CopyOnWriteArrayList<>();
    RankThreads.run(
        ranks.first(),
        ranks.count(),
        () -> {},
        rank -> {
          try (Membership member = members.get(rank)) {
            assertEquals(rank, member.collectives().rank());
            sums.add(Arrays.stream(member.collectives().allGatherLong(10 + rank)).sum());
          }
        });
    assertEquals(List.of(33L, 33L, 33L), sums);
  }

  private static long sum(int rank, int port) {
    Map<String, String> environment =
        Map.of(
            "RANK",
            Integer.toString(rank),
            "WORLD_SIZE",
            "2",
            "MASTER_ADDR",
            "localhost",
            "MASTER_PORT",
            Integer.toString(port));
    World world = World.discover(environment);
    try (Membership membership =
        Backend.AUTO.join(world, Memory.HOST, "run", LONG, LONG, environment)) {
      long[] values = membership.collectives().allGatherLong(50 + 10 * rank);
      return values[0] + values[1];
    }
  }
}
