package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.storage.TroubledFileSystem;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.InProcessGroup;

/** Disks that take longer than ranks wait for each other otherwise. */
@Timeout(120)
final class SlowDisksTest {
  @TempDir private Path temp;

  @AfterEach
  void noTroubleForOthers() {
    TroubledFileSystem.TROUBLE.set(TroubledFileSystem.NONE);
    TroubledFileSystem.READING.set(TroubledFileSystem.NONE);
  }

  @Test
  void aDiskOfOneRankThatSaysNothingEndsTheRunWhenItsTimeIsOver() throws IOException {
    RunConfig config = patient(BackgroundSavingTest.config(temp, 2), 3);
    CountDownLatch over = new CountDownLatch(1);
    TroubledFileSystem.TROUBLE.set(
        path -> {
          if (path.contains("step-0000000008") && path.contains("rank-00001")) {
            awaitOr(over, "the disk stays stuck");
          }
        });
    try {
      long start = System.nanoTime();
      IllegalStateException late = assertThrows(IllegalStateException.class, () -> train(config));
      double seconds = (System.nanoTime() - start) * 1e-9;
      assertEquals(
          "rank 1: saving has shown no progress for 3 s (parallelism.long_work_timeout_seconds)",
          late.getMessage());
      assertTrue(seconds < 90, "after " + seconds + " s");
      assertEquals(
          List.of(4L),
          CheckpointStore.open(config.checkpoints().folder().orElseThrow()).steps(),
          "what was published stays, nothing else");
    } finally {
      over.countDown();
    }
  }

  @Test
  void aRankThatLoadsLongIsWaitedForBeyondTheTimeoutOfACollective() throws Exception {
    RunConfig config = BackgroundSavingTest.config(temp, 2);
    train(config);
    Checkpoint checkpoint =
        CheckpointStore.open(config.checkpoints().folder().orElseThrow()).open(16);
    AtomicInteger slow = new AtomicInteger();
    TroubledFileSystem.READING.set(
        path -> {
          boolean first = Thread.currentThread().getName().equals("rank-1-loading");
          if (first && slow.getAndIncrement() == 0) {
            awaitOr(new CountDownLatch(1), null, 6);
          }
        });
    TokenStream stream = RunData.open(config, PreparationListener.NONE);
    try (RankSigns signs = RankSigns.start(config, Map.of(), 0, 2, 2)) {
      InProcessGroup.run(
          2,
          Duration.ofSeconds(3), // shorter than the loading
          engine -> {
            Collectives collectives = signs.watch(engine);
            LongWork work = new LongWork(collectives, new StopRequest(), Duration.ofMinutes(1));
            try (RankTrainer rank =
                new RankTrainer(config, collectives, signs, stream, ComputeDevice.host(1))) {
              rank.start(Optional.of(checkpoint), work);
              assertEquals(16, rank.stepsDone());
            }
          });
    }
    assertTrue(slow.get() > 0, "nothing was read");
  }

  private static void train(RunConfig config) {
    TrainingOptions options = new TrainingOptions(Resume.AUTO, new StopRequest());
    new Trainer(config, options, new TrainingListener() {}).run();
  }

  /** Gives up sooner on what shows no progress. */
  private static RunConfig patient(RunConfig config, int seconds) {
    String yaml = ConfigurationWriter.toYaml(config);
    return ConfigurationReader.parse(
        RunConfig.class,
        yaml.replaceFirst(
            "long_work_timeout_seconds: \\d+", "long_work_timeout_seconds: " + seconds),
        "the test's configuration");
  }

  private static void awaitOr(CountDownLatch latch, String problem) throws IOException {
    awaitOr(latch, problem, 100);
  }

  /** Waits; fails with a problem, if there is one, when the time is over. */
  private static void awaitOr(CountDownLatch latch, String problem, int seconds)
      throws IOException {
    try {
      if (!latch.await(seconds, TimeUnit.SECONDS) && problem != null) {
        throw new IOException(problem);
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }
}
