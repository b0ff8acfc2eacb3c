package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Ranks that a launcher announces, each as it would run in a process of its own. */
final class ProcessRanksTest {
  private static final int STEPS = 9;

  @TempDir private Path temp;

  @Test
  void announcedRanksTrainToTheSameBitsAsThreads() throws Exception {
    SmallRun threads = new SmallRun(temp.resolve("threads"), STEPS, "bf16", 2, 4);
    threads.train();

    SmallRun announced = new SmallRun(temp.resolve("announced"), STEPS, "bf16", 1, 4);
    String port = Integer.toString(freePort());
    List<Future<TrainingResult>> ranks = new ArrayList<>();
    try (ExecutorService pool = Executors.newThreadPerTaskExecutor(Thread.ofPlatform().factory())) {
      for (int rank = 0; rank < 2; rank++) {
        Map<String, String> environment =
            Map.of(
                "RANK",
                Integer.toString(rank),
                "WORLD_SIZE",
                "2",
                "LOCAL_RANK",
                Integer.toString(rank),
                "MASTER_ADDR",
                "127.0.0.1",
                "MASTER_PORT",
                port);
        Trainer trainer =
            new Trainer(
                announced.config(),
                new TrainingOptions(Resume.AUTO, new StopRequest()),
                new TrainingListener() {},
                environment);
        ranks.add(pool.submit(trainer::run));
      }
      for (Future<TrainingResult> rank : ranks) {
        assertTrue(rank.get().complete());
      }
    }
    assertEquals(threads.losses(), announced.losses());
    assertEquals(threads.stateHash(), announced.stateHash());
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
