package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.pretrain4j.checkpoints.AsyncCheckpointer;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointState;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.RetentionPolicy;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.HostShardOperators;
import org.pretrain4j.trainer.sharding.OptimizerShard;

/**
 * Saves and loads the state of a shape as training does, each time beside plain writing and reading
 * of the same bytes in the same folder.
 */
public final class CheckpointBench {
  private static final int BUCKET_ELEMENTS = 25_000_000;
  private static final int STEP_REPETITIONS = 1;

  /** Disks that lend their speed in bursts must not let the second of two writers pay. */
  private static final long REST_SECONDS_A_GIGABYTE = 2;

  private CheckpointBench() {}

  private record Sample(
      double blocked, double write, double plainWrite, double read, double plainRead) {}

  /**
   * Measures.
   *
   * @param folder on the disk to measure; what is written there is deleted
   * @param repetitions counted saves, after one that is not
   * @param stagingBytes limit of the memory for staging
   * @throws UserException if the folder can't be written
   */
  public static CheckpointBenchReport run(
      Shape shape, Path folder, int repetitions, long stagingBytes) {
    double stepSeconds =
        new StepBench(
                shape,
                ScalarType.BFLOAT16,
                Kernels.FUSED,
                Set.of(),
                ActivationCheckpointing.NONE,
                Optional.empty(),
                STEP_REPETITIONS)
            .run()
            .stepSeconds();
    try {
      Path scratch = Files.createTempDirectory(folder, ".bench-checkpoint-");
      try {
        return measure(shape, scratch, repetitions, stagingBytes, stepSeconds);
      } finally {
        deleteAll(scratch);
      }
    } catch (IOException e) {
      throw new UserException(
          "the folder %s can't be measured: %s".formatted(folder, e.getMessage()), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  private static CheckpointBenchReport measure(
      Shape shape, Path scratch, int repetitions, long stagingBytes, double stepSeconds)
      throws IOException, InterruptedException {
    Path plain = scratch.resolve("plain");
    CheckpointStore store = CheckpointStore.open(scratch.resolve("checkpoints").toString());
    try (NDManager manager = Managers.host();
        WorkerPool pool = new WorkerPool(1)) {
      ModelLayout layout = ModelLayout.of(shape.model());
      Buckets buckets = Buckets.of(layout, 1, BUCKET_ELEMENTS);
      OptimizerShard shard = new OptimizerShard(manager, buckets, 0, new HostShardOperators(pool));
      shard.values().values().forEach(CheckpointBench::fill);
      long bytes = shard.values().values().stream().mapToLong(MemorySegment::byteSize).sum();
      AsyncCheckpointer.Settings settings =
          new AsyncCheckpointer.Settings(Math.min(bytes, stagingBytes), Duration.ofMinutes(10));
      Duration rest = Duration.ofMillis(REST_SECONDS_A_GIGABYTE * bytes / 1_000_000);
      List<Sample> samples = new ArrayList<>();
      boolean emptied = true;
      long staging;
      try (AsyncCheckpointer checkpointer =
          new AsyncCheckpointer(store, "bench", 0, 1, settings, step -> {})) {
        for (int i = 0; i <= repetitions; i++) {
          double plainWrite = 0;
          AsyncCheckpointer.Report saved = null;
          for (int turn = 0; turn < 2; turn++) {
            Thread.sleep(rest);
            if ((i + turn) % 2 == 0) {
              plainWrite = PlainFile.write(plain, shard.values().values());
            } else {
              saved =
                  checkpointer
                      .save(
                          layout.parameters(),
                          shard.ranges(),
                          shard.sources(),
                          CheckpointState.builder(i).build())
                      .join();
            }
          }
          emptied &= PlainFile.forget(scratch);
          Checkpoint checkpoint = store.open(i);
          double plainRead = 0;
          double read = 0;
          for (int turn = 0; turn < 2; turn++) {
            Thread.sleep(rest);
            if ((i + turn) % 2 == 0) {
              plainRead = PlainFile.read(plain, shard.values().values());
            } else {
              read = load(checkpoint, shard);
            }
          }
          Files.delete(plain);
          store.retain(RetentionPolicy.newest(1), CheckpointBench::damaged);
          samples.add(
              new Sample(
                  saved.blockedSeconds(),
                  saved.writeSeconds() + saved.publishSeconds(),
                  plainWrite,
                  read,
                  plainRead));
        }
        staging = checkpointer.stagingBytes();
      }
      List<Sample> counted = samples.subList(1, samples.size());
      return new CheckpointBenchReport(
          shape.name(),
          bytes,
          staging,
          median(counted, Sample::blocked),
          samples.getFirst().blocked(),
          bytes / median(counted, Sample::write),
          bytes / median(counted, Sample::plainWrite),
          median(counted, sample -> sample.plainWrite() / sample.write()),
          bytes / median(counted, Sample::read),
          bytes / median(counted, Sample::plainRead),
          median(counted, sample -> sample.plainRead() / sample.read()),
          emptied,
          stepSeconds);
    }
  }

  private static double median(List<Sample> samples, Function<Sample, Double> value) {
    return StepSamples.median(samples.stream().map(value).toList());
  }

  /** Numbers that no disk can compress. */
  private static void fill(MemorySegment values) {
    SplittableRandom random = new SplittableRandom(6);
    for (long at = 0; at + Long.BYTES <= values.byteSize(); at += Long.BYTES) {
      values.set(ValueLayout.JAVA_LONG_UNALIGNED, at, random.nextLong());
    }
  }

  private static double load(Checkpoint checkpoint, OptimizerShard shard) {
    long start = System.nanoTime();
    shard.load(checkpoint);
    return (System.nanoTime() - start) * 1e-9;
  }

  private static void damaged(String warning) {
    throw new IllegalStateException(warning);
  }

  private static void deleteAll(Path folder) throws IOException {
    try (var found = Files.walk(folder)) {
      for (Path path : found.toList().reversed()) {
        Files.delete(path);
      }
    }
  }
}
