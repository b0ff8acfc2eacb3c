package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongConsumer;

/**
 * Saves in the background: the caller is blocked only while its values are copied into a bounded
 * staging buffer, a thread of its own writes and, on rank 0, publishes. If the buffer is smaller
 * than the shard, the caller waits for room in it. At most one save is in flight: the next one
 * waits for it. One object a rank; to be used by one thread.
 *
 * <pre>{@code
 * try (var checkpointer = new AsyncCheckpointer(store, attempt, rank, worldSize, settings, step -> {})) {
 *   CompletableFuture<AsyncCheckpointer.Report> save =
 *       checkpointer.save(layout, ranges, kinds, state); // the values may change now
 *   ...
 * } // waits for the last save
 * }</pre>
 */
public final class AsyncCheckpointer implements AutoCloseable {

  /**
   * Limits of background saving.
   *
   * @param stagingBytes size of the staging buffer of this rank in bytes; above 16 MiB it is
   *     rounded down to a multiple of that
   * @param publishTimeout how long rank 0 waits for the shards of the slowest rank
   */
  public record Settings(long stagingBytes, Duration publishTimeout) {
    public Settings {
      if (stagingBytes < 1) {
        throw new IllegalArgumentException(
            "a staging buffer can't have " + stagingBytes + " bytes");
      }
    }
  }

  /**
   * What a save took.
   *
   * @param step number of steps done
   * @param bytes size of this rank's values in bytes
   * @param blockedSeconds how long the caller was held up, waiting for an earlier save included
   * @param writeSeconds from the call until the shard of this rank was durable
   * @param publishSeconds from then until rank 0 had published and cleaned up; 0 on other ranks
   */
  public record Report(
      long step, long bytes, double blockedSeconds, double writeSeconds, double publishSeconds) {}

  private static final Duration UNTIL_INTERRUPTED = Duration.ofSeconds(5);

  private final int rank;
  private final StagingBuffer staging;
  private final BackgroundWriter save;
  private final ExecutorService writer;
  private CompletableFuture<Report> inFlight = CompletableFuture.completedFuture(null);
  private CompletableFuture<Void> shardInFlight = CompletableFuture.completedFuture(null);

  /**
   * A checkpointer of one rank.
   *
   * @param attempt new at each start of the run and the same on all ranks
   * @param published told in the background, on rank 0, about each step that is published: the
   *     place for retention and copies
   */
  public AsyncCheckpointer(
      CheckpointStore store,
      String attempt,
      int rank,
      int worldSize,
      Settings settings,
      LongConsumer published) {
    this.rank = rank;
    this.staging = new StagingBuffer(settings.stagingBytes());
    this.save =
        new BackgroundWriter(
            store, attempt, rank, worldSize, settings.publishTimeout(), published, staging);
    this.writer =
        Executors.newSingleThreadExecutor(
            Thread.ofPlatform().name("checkpoint-writer-" + rank).daemon().factory());
  }

  /**
   * Begins a save of the step in the state. When it returns, the values have been copied.
   *
   * @param ranges the ranges that this rank owns
   * @param kinds their packed fp32 values, by kind
   * @return completes when this rank's part is durable and, on rank 0, the checkpoint is published
   * @throws CheckpointWriteException if the save before this one failed, or if this one has already
   */
  public CompletableFuture<Report> save(
      FlatLayout layout,
      List<FlatRange> ranges,
      Map<String, StateSource> kinds,
      CheckpointState state) {
    long begin = System.nanoTime();
    await();
    Map<String, StateSource> sorted = new TreeMap<>(kinds);
    long bytes = sorted.values().stream().mapToLong(StateSource::bytes).sum();
    long expected =
        Float.BYTES * sorted.size() * ranges.stream().mapToLong(FlatRange::length).sum();
    if (bytes != expected) {
      throw new IllegalArgumentException(
          "the ranges need %d bytes, the values have %d".formatted(expected, bytes));
    }
    staging.reset();
    CompletableFuture<Double> blocked = new CompletableFuture<>();
    CompletableFuture<Void> durable = new CompletableFuture<>();
    shardInFlight = durable;
    List<String> names = List.copyOf(sorted.keySet());
    inFlight =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                StagedCheckpoint staged =
                    save.write(layout, List.copyOf(ranges), names, bytes, state.step());
                double written = secondsSince(begin);
                durable.complete(null);
                save.publish(staged, state);
                double published = rank == 0 ? secondsSince(begin) - written : 0;
                return new Report(state.step(), bytes, blocked.join(), written, published);
              } catch (RuntimeException | Error e) {
                durable.completeExceptionally(e);
                throw e;
              }
            },
            writer);
    try {
      for (StateSource values : sorted.values()) {
        if (!staging.copy(values)) {
          await(); // The writer has given up; this throws its reason.
          throw new IllegalStateException("the writer ended before it had all values");
        }
      }
      staging.flush();
    } catch (InterruptedException e) {
      staging.abandon();
      Thread.currentThread().interrupt();
      throw new CheckpointWriteException(
          "the checkpoint of step " + state.step() + " was broken off",
          new InterruptedIOException("interrupted"));
    } catch (RuntimeException | Error e) {
      staging.abandon(); // Else the writer would wait for the rest for ever.
      throw e;
    }
    blocked.complete(secondsSince(begin));
    return inFlight;
  }

  /**
   * Waits for the save in flight, if there is one.
   *
   * @throws CheckpointWriteException if it failed; it is reported once
   */
  public void await() {
    CompletableFuture<Report> awaited = inFlight;
    try {
      join(awaited);
    } catch (RuntimeException e) {
      inFlight = CompletableFuture.completedFuture(null);
      throw e;
    }
  }

  /**
   * Waits until this rank's part of the save in flight is durable. Unlike {@link #await} it does
   * not wait for other ranks: those may be waiting for what this one has to say.
   *
   * @throws CheckpointWriteException if it could not be written
   */
  public void awaitShard() {
    join(shardInFlight);
  }

  private static void join(CompletableFuture<?> awaited) {
    try {
      awaited.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      if (e.getCause() instanceof IOException cause) {
        throw new UncheckedIOException(cause);
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  /** Memory that is held for staging at the moment, in bytes; never more than configured. */
  public long stagingBytes() {
    return staging.allocatedBytes();
  }

  /** Waits for the save in flight and frees the staging buffer. */
  @Override
  public void close() {
    try {
      await();
    } finally {
      writer.shutdown();
      writer.close();
      staging.close();
    }
  }

  /**
   * Ends where the run can't go on: waits for the save in flight, and after a while gives it up.
   * What was published before stays, and the next start cleans what was staged.
   *
   * @return why the save in flight was given up or failed, if it was
   */
  public Optional<String> close(Duration patience) {
    Optional<String> problem = Optional.empty();
    try {
      inFlight.get(patience.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      problem = Optional.of("not done within " + patience.toSeconds() + " s");
    } catch (InterruptedException e) {
      problem = Optional.of("interrupted");
      Thread.currentThread().interrupt();
    } catch (ExecutionException e) {
      problem = Optional.of(String.valueOf(e.getCause().getMessage()));
    }
    writer.shutdownNow();
    if (ended(writer)) {
      staging.close();
    } // Else a disk is stuck in the middle of a write: the buffer must outlive that.
    return problem;
  }

  private static boolean ended(ExecutorService writer) {
    try {
      return writer.awaitTermination(UNTIL_INTERRUPTED.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return writer.isTerminated();
    }
  }

  private static double secondsSince(long nanos) {
    return (System.nanoTime() - nanos) * 1e-9;
  }
}
