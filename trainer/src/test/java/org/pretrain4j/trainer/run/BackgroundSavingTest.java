package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.CheckpointWriteException;
import org.pretrain4j.checkpoints.storage.TroubledFileSystem;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.exchange.ModelImport;
import org.pretrain4j.trainer.exchange.StoredModel;

/** Saving while training goes on, on disks that are slow, full or lost. */
@Timeout(120)
final class BackgroundSavingTest {
  private static final int STEPS = 18;

  @TempDir private Path temp;

  @AfterEach
  void noTroubleForOthers() {
    TroubledFileSystem.TROUBLE.set(TroubledFileSystem.NONE);
  }

  /** A run whose checkpoints lie on the troubled disk. */
  private RunConfig config(int ranks, String... keys) {
    return config(temp, ranks, keys);
  }

  static RunConfig config(Path temp, int ranks, String... keys) {
    SmallRun run = new SmallRun(temp.resolve("run"), STEPS, "bf16", ranks, 4);
    StringBuilder checkpoints = new StringBuilder("checkpoints:\n  folder: \"troubled://");
    checkpoints.append(temp.resolve("disk")).append("\"\n");
    for (String key : keys) {
      checkpoints.append("  ").append(key).append('\n');
    }
    String yaml = ConfigurationWriter.toYaml(run.config());
    String own = yaml.substring(yaml.indexOf("checkpoints:\n"));
    List<String> kept =
        own.lines()
            .skip(1)
            .filter(line -> Stream.of(keys).noneMatch(key -> sameKey(line, key)))
            .filter(line -> !sameKey(line, "folder:"))
            .toList();
    return ConfigurationReader.parse(
        RunConfig.class,
        yaml.replace(own, checkpoints + String.join("\n", kept) + "\n"),
        "the test's configuration");
  }

  private static boolean sameKey(String line, String key) {
    return line.strip().startsWith(key.substring(0, key.indexOf(':') + 1));
  }

  private static TrainingResult train(RunConfig config, TrainingListener listener) {
    return new Trainer(config, new TrainingOptions(Resume.AUTO, new StopRequest()), listener).run();
  }

  private static CheckpointStore store(RunConfig config) {
    return CheckpointStore.open(config.checkpoints().folder().orElseThrow());
  }

  @Test
  void theStepsGoOnWhileTheDiskIsStuck() {
    CountDownLatch sixthStep = new CountDownLatch(1);
    List<Long> savedBeforeTheSixth = new ArrayList<>();
    List<String> saved = new ArrayList<>();
    TroubledFileSystem.waitFor("", new CountDownLatch(1), sixthStep);
    RunConfig config = config(2);
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void step(StepMetrics metrics) {
            if (metrics.step() == 6) {
              savedBeforeTheSixth.addAll(store(config).steps());
              sixthStep.countDown();
            }
          }

          @Override
          public void saved(long step, SaveTimes times) {
            saved.add(step + (times.blockedSeconds() < times.writeSeconds() ? "" : " " + times));
          }
        };
    assertTrue(train(config, listener).complete());
    assertEquals(List.of(), savedBeforeTheSixth);
    assertEquals("4", saved.getFirst());
    assertEquals(List.of(12L, 16L, 18L), store(config).steps());
    SmallRun run = new SmallRun(temp.resolve("run"), STEPS, "bf16", 2, 4);
    double written = 0;
    for (JsonNode line : run.metrics()) {
      boolean blocks = line.get("step").intValue() % 4 == 0 || line.get("step").intValue() == STEPS;
      assertEquals(blocks, line.get("checkpoint_seconds").doubleValue() > 0, line.toString());
      written += line.get("checkpoint_write_seconds").doubleValue();
    }
    assertTrue(written > 0);
  }

  @Test
  void aRankThatCannotWriteEndsTheRunOnAllRanksAndLosesNothing() {
    RunConfig config = config(2);
    List<Long> steps = new ArrayList<>();
    TroubledFileSystem.TROUBLE.set(
        path -> {
          if (path.contains("step-0000000008") && path.contains("rank-00001")) {
            throw new IOException("No space left on device");
          }
        });
    long start = System.nanoTime();
    CheckpointWriteException failed =
        assertThrows(
            CheckpointWriteException.class,
            () ->
                train(
                    config,
                    new TrainingListener() {
                      @Override
                      public void step(StepMetrics metrics) {
                        steps.add(metrics.step());
                      }
                    }));
    double seconds = (System.nanoTime() - start) * 1e-9;
    assertTrue(seconds < 25, "waited " + seconds + " s for a shard that never comes");
    List<String> told = new ArrayList<>(List.of(failed.getMessage()));
    Stream.of(failed.getSuppressed()).forEach(other -> told.add(other.getMessage()));
    assertTrue(told.toString().contains("No space left"), told::toString);
    assertTrue(steps.getLast() < 12, "went on until the save after: " + steps);
    assertEquals(List.of(4L), store(config).steps());
    TroubledFileSystem.TROUBLE.set(TroubledFileSystem.NONE);
    assertTrue(train(config, new TrainingListener() {}).complete());
  }

  @Test
  void theLastSaveIsNoLessChecked() {
    RunConfig config = config(1);
    TroubledFileSystem.TROUBLE.set(
        path -> {
          if (path.contains("step-0000000018")) {
            throw new IOException("Input/output error");
          }
        });
    CheckpointWriteException failed =
        assertThrows(
            CheckpointWriteException.class, () -> train(config, new TrainingListener() {}));
    assertTrue(failed.getMessage().contains("Input/output error"), failed.getMessage());
    assertEquals(List.of(8L, 12L, 16L), store(config).steps());
  }

  @Test
  void rulesOfKeepingAndCopiesFollowTheConfiguration() throws IOException {
    RunConfig config =
        config(
            2,
            "keep_last: 1",
            "keep_every_steps: 8",
            "mirror_folder: \"" + temp.resolve("mirror") + "\"");
    List<String> warnings = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void warning(String message) {
            warnings.add(message);
          }
        };
    assertTrue(train(config, listener).complete());
    // On a busy machine the copies may be behind.
    warnings.removeIf(warning -> warning.startsWith("step 12 was deleted before it was copied"));
    assertEquals(List.of(), warnings);
    assertEquals(List.of(8L, 16L, 18L), store(config).steps());
    CheckpointStore mirror = CheckpointStore.open(temp.resolve("mirror").toString());
    assertEquals(List.of(8L, 16L, 18L), mirror.steps());
    assertEquals(18, mirror.newestGood(warnings::add).orElseThrow().step());
    assertEquals(List.of(), warnings);
  }

  @Test
  void aRunThatIsStoppedDoesNotWaitForItsCopies() {
    RunConfig config = config(1, "mirror_folder: \"troubled://" + temp.resolve("mirror") + "\"");
    CountDownLatch never = new CountDownLatch(1);
    TroubledFileSystem.waitFor("/mirror/", new CountDownLatch(1), never);
    StopRequest stop = new StopRequest();
    List<String> warnings = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void step(StepMetrics metrics) {
            if (metrics.step() == 5) {
              stop.stop();
            }
          }

          @Override
          public void warning(String message) {
            warnings.add(message);
          }
        };
    long start = System.nanoTime();
    TrainingResult stopped =
        new Trainer(config, new TrainingOptions(Resume.AUTO, stop), listener).run();
    double seconds = (System.nanoTime() - start) * 1e-9;
    assertFalse(stopped.complete());
    assertTrue(seconds < 50, "waited " + seconds + " s for the copies");
    assertEquals(List.of(), warnings);
    CheckpointStore copies =
        CheckpointStore.open(config.checkpoints().mirrorFolder().orElseThrow());
    assertEquals(List.of(), copies.steps());
    TroubledFileSystem.TROUBLE.set(TroubledFileSystem.NONE);
    assertTrue(train(config, listener).complete());
    assertEquals(store(config).steps(), copies.steps());
  }

  @Test
  void aRunWhoseDiskIsLostGoesOnFromTheCopies() throws IOException {
    RunConfig config = config(1, "mirror_folder: \"" + temp.resolve("mirror") + "\"");
    train(config, new TrainingListener() {});
    Path disk = temp.resolve("disk");
    damage(disk.resolve("step-0000000016"));
    damage(disk.resolve("step-0000000018"));
    Files.move(disk.resolve("step-0000000012"), temp.resolve("lost"));
    List<String> warnings = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void warning(String message) {
            warnings.add(message);
          }
        };
    assertTrue(train(config, listener).complete());
    assertTrue(warnings.toString().contains("step-0000000018 is damaged"), warnings::toString);
    assertTrue(warnings.getLast().contains("mirror"), warnings::toString);
    assertEquals(18, store(config).newestGood(warnings::add).orElseThrow().step());
    assertFalse(Files.exists(temp.resolve("run/metrics.jsonl.next")));
  }

  @Test
  void aRunThatFailsStillCompletesItsSaveAndSaysNothingElse() {
    RunConfig config = config(1, "mirror_folder: \"" + temp.resolve("mirror") + "\"");
    CountDownLatch mayGoOn = new CountDownLatch(1);
    TroubledFileSystem.waitFor("step-0000000004", new CountDownLatch(1), mayGoOn);
    List<String> warnings = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void step(StepMetrics metrics) {
            if (metrics.step() == 5) {
              CompletableFuture.delayedExecutor(3, TimeUnit.SECONDS).execute(mayGoOn::countDown);
              throw new IllegalStateException("a defect");
            }
          }

          @Override
          public void warning(String message) {
            warnings.add(message);
          }
        };
    assertThrows(IllegalStateException.class, () -> train(config, listener));
    assertEquals(List.of(), warnings);
    assertEquals(List.of(4L), store(config).steps());
  }

  @Test
  void aNewRunNeverGoesOnFromTheCopiesOfAnother() {
    String mirror = "mirror_folder: \"" + temp.resolve("mirror") + "\"";
    RunConfig copied = config(temp.resolve("first"), 1, mirror);
    assertEquals("small", copied.name());
    train(copied, new TrainingListener() {});
    RunConfig next = SmallRun.of(temp, config(1, mirror)).with("small", "other").config();
    UserException never =
        assertThrows(
            UserException.class,
            () ->
                new Trainer(
                        next,
                        new TrainingOptions(Resume.NEVER, new StopRequest()),
                        new TrainingListener() {})
                    .run());
    assertTrue(never.getMessage().contains("mirror already holds checkpoints"), never.getMessage());
    UserException auto =
        assertThrows(UserException.class, () -> train(next, new TrainingListener() {}));
    assertTrue(auto.getMessage().contains("of the run 'small', not of 'other'"), auto.getMessage());
    try (StoredModel model =
        StoredModel.open(
            copied.checkpoints().mirrorFolder().orElseThrow(), Optional.empty(), text -> {})) {
      UserException imported =
          assertThrows(UserException.class, () -> ModelImport.run(model, next, text -> {}));
      assertTrue(
          imported.getMessage().contains("mirror already holds checkpoints"),
          imported.getMessage());
    }
    assertEquals(List.of(), store(next).steps());
  }

  private static void damage(Path checkpoint) throws IOException {
    try (Stream<Path> files = Files.list(checkpoint)) {
      Path shard =
          files.filter(file -> file.toString().endsWith(".safetensors")).findFirst().orElseThrow();
      try (RandomAccessFile file = new RandomAccessFile(shard.toFile(), "rw")) {
        file.seek(file.length() / 2);
        int value = file.read();
        file.seek(file.length() / 2);
        file.write(value ^ 1);
      }
    }
  }
}
