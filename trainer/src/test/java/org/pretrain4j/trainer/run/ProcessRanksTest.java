package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;

/** Processes that a launcher announces, with a rank or some of them each, as threads here. */
final class ProcessRanksTest {
  private static final int STEPS = 9;

  @TempDir private Path temp;

  @Test
  void announcedRanksTrainToTheSameBitsAsThreads() throws Exception {
    SmallRun threads = new SmallRun(temp.resolve("threads"), STEPS, "bf16", 2, 4);
    threads.train();

    SmallRun announced = new SmallRun(temp.resolve("announced"), STEPS, "bf16", 1, 4);
    announce(announced, 2);
    assertEquals(threads.losses(), announced.losses());
    assertEquals(threads.stateHash(), announced.stateHash());
  }

  @Test
  void ranksThatAreThreadsOfSeveralProcessesTrainToTheSameBitsAsThreadsOfOne() throws Exception {
    SmallRun threads = new SmallRun(temp.resolve("threads"), STEPS, "bf16", 4, 4);
    threads.train();

    SmallRun hybrid =
        new SmallRun(temp.resolve("hybrid"), STEPS, "bf16", 1, 4)
            .with("ranks_per_process: 1", "ranks_per_process: 2");
    List<Integer> worldSizes = announce(hybrid, 2);
    assertEquals(List.of(4), worldSizes, "told by rank 0 alone");
    assertEquals(threads.losses(), hybrid.losses());
    assertEquals(threads.stateHash(), hybrid.stateHash());
    List<String> records;
    try (Stream<Path> files = Files.list(temp.resolve("hybrid").resolve("records"))) {
      records = files.map(file -> file.getFileName().toString()).sorted().toList();
    }
    assertEquals(List.of("rank-0.json", "rank-1.json", "rank-2.json", "rank-3.json"), records);
  }

  @Test
  void anEngineWithOneRankAProcessSaysSo() {
    SmallRun run =
        new SmallRun(temp.resolve("mpi"), STEPS, "bf16", 1, 4)
            .with("ranks_per_process: 1", "ranks_per_process: 2")
            .with("collectives: \"auto\"", "collectives: \"mpi\"");
    UserException mistake =
        assertThrows(
            UserException.class,
            () -> trainer(run, 0, 2, "29500", new StopRequest(), new TrainingListener() {}).run());
    assertEquals(
        "parallelism.ranks_per_process is 2, but MPI has one rank a process: take tcp, or start a"
            + " process for each rank",
        mistake.getMessage());
  }

  /** Runs these processes, each on a thread; gives the worlds that they tell of. */
  private static List<Integer> announce(SmallRun run, int processes) throws Exception {
    List<Integer> worldSizes = new CopyOnWriteArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void started(RunSummary summary) {
            worldSizes.add(summary.ranks());
          }
        };
    String port = Integer.toString(freePort());
    List<Future<TrainingResult>> ended = new ArrayList<>();
    try (ExecutorService pool = Executors.newThreadPerTaskExecutor(Thread.ofPlatform().factory())) {
      for (int process = 0; process < processes; process++) {
        ended.add(
            pool.submit(trainer(run, process, processes, port, new StopRequest(), listener)::run));
      }
      for (Future<TrainingResult> process : ended) {
        assertTrue(process.get().complete());
      }
    }
    return worldSizes;
  }

  private static Trainer trainer(
      SmallRun run,
      int process,
      int processes,
      String port,
      StopRequest stop,
      TrainingListener listener) {
    Map<String, String> environment =
        Map.of(
            "RANK",
            Integer.toString(process),
            "WORLD_SIZE",
            Integer.toString(processes),
            "LOCAL_RANK",
            Integer.toString(process),
            "MASTER_ADDR",
            "127.0.0.1",
            "MASTER_PORT",
            port);
    return new Trainer(run.config(), new TrainingOptions(Resume.AUTO, stop), listener, environment);
  }

  @Test
  void aStopBeforeTheFirstStepEndsAllProcessesAlikeAndIsNoFailure() throws Exception {
    SmallRun run = new SmallRun(temp.resolve("stopped"), STEPS, "bf16", 1, 4);
    String port = Integer.toString(freePort());
    List<Future<TrainingResult>> ended = new ArrayList<>();
    List<String> heard = new CopyOnWriteArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void warning(String message) {
            heard.add(message);
          }
        };
    try (ExecutorService pool = Executors.newThreadPerTaskExecutor(Thread.ofPlatform().factory())) {
      for (int process = 0; process < 3; process++) {
        StopRequest stop = new StopRequest();
        if (process == 1) {
          stop.stop();
        }
        ended.add(pool.submit(trainer(run, process, 3, port, stop, listener)::run));
      }
      for (Future<TrainingResult> process : ended) {
        assertFalse(process.get().complete());
        assertEquals(0, process.get().steps());
      }
    }
    assertEquals(List.of(), heard);
    assertFalse(Files.exists(temp.resolve("stopped/records/hang-rank-0.txt")));
  }

  @Test
  void aSingleAnnouncedProcessIsOneRankWhateverTheConfigurationSays() {
    List<Integer> worldSizes = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void started(RunSummary summary) {
            worldSizes.add(summary.ranks());
          }
        };
    SmallRun run = new SmallRun(temp.resolve("one"), 3, "fp32", 4, 100);
    Map<String, String> environment =
        Map.of("RANK", "0", "WORLD_SIZE", "1", "LOCAL_RANK", "0", "MASTER_ADDR", "127.0.0.1");
    new Trainer(
            run.config(),
            new TrainingOptions(Resume.AUTO, new StopRequest()),
            listener,
            environment)
        .run();
    assertEquals(List.of(1), worldSizes);
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }
}
