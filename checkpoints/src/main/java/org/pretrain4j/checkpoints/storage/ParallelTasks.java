package org.pretrain4j.checkpoints.storage;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;

/** Runs many small pieces of I/O on virtual threads, a bounded number of them at a time. */
public final class ParallelTasks {
  // Enough to keep a disk or a network busy; each task holds one block of memory.
  private static final int AT_A_TIME = 8;

  private ParallelTasks() {}

  /** A piece of I/O. */
  @FunctionalInterface
  public interface Task {
    void run() throws IOException;
  }

  /**
   * Runs all tasks and returns when the last has ended. After a failure no further one begins.
   *
   * @throws IOException the failure of the first task, in the given order, that failed
   */
  public static void run(List<Task> tasks) throws IOException {
    Semaphore permits = new Semaphore(AT_A_TIME);
    AtomicBoolean failed = new AtomicBoolean();
    List<Future<?>> futures = new ArrayList<>();
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      for (Task task : tasks) {
        permits.acquire();
        if (failed.get()) {
          break;
        }
        futures.add(
            executor.submit(
                () -> {
                  try {
                    task.run();
                  } catch (IOException | RuntimeException | Error e) {
                    failed.set(true);
                    throw e;
                  } finally {
                    permits.release();
                  }
                  return null;
                }));
      }
      for (Future<?> future : futures) {
        future.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw (IOException) new InterruptedIOException("interrupted").initCause(e);
    } catch (ExecutionException e) {
      throw rethrow(e.getCause());
    }
  }

  private static IOException rethrow(Throwable cause) {
    if (cause instanceof RuntimeException runtime) {
      throw runtime;
    }
    if (cause instanceof Error error) {
      throw error;
    }
    return (IOException) cause;
  }
}
