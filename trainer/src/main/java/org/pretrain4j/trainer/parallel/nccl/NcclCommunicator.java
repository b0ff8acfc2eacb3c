package org.pretrain4j.trainer.parallel.nccl;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntSupplier;
import java.util.function.LongToIntFunction;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.trainer.cuda.Gpu;

/**
 * One rank's non-blocking communicator, from its making to its end. Its handle is used under a
 * lock, as NCCL frees it when any thread aborts; afterwards it counts as busy for ever, and whoever
 * waits sees why the group has ended.
 */
final class NcclCommunicator {
  private static final Logger LOG = LogManager.getLogger();
  private static final Duration ENDING = Duration.ofSeconds(10);
  private static final long POLL_NANOS = 20_000;

  private final Nccl nccl;
  private final Gpu gpu;
  private final ReentrantLock lock = new ReentrantLock();
  private final CompletableFuture<Integer> ended = new CompletableFuture<>();
  private long handle;
  private boolean over;

  NcclCommunicator(Nccl nccl, Gpu gpu) {
    this.nccl = nccl;
    this.gpu = gpu;
  }

  /** Begins to connect all ranks; {@link #settle} waits for it. */
  void connect(int worldSize, byte[] uniqueId, int rank) {
    lock.lock();
    try {
      if (!over) {
        handle = nccl.initialize(worldSize, uniqueId, rank);
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean isConnected() {
    lock.lock();
    try {
      return handle != 0;
    } finally {
      lock.unlock();
    }
  }

  /** What a call with the handle returns; in progress if there is none any more. */
  int use(LongToIntFunction call) {
    lock.lock();
    try {
      return handle == 0 ? NcclResult.IN_PROGRESS.ordinal() : call.applyAsInt(handle);
    } finally {
      lock.unlock();
    }
  }

  /** Takes the handle away from all other users. */
  private long take() {
    lock.lock();
    try {
      long taken = handle;
      handle = 0;
      over = true;
      return taken;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Polls until the communicator has taken a call; a non-blocking one may need a while.
   *
   * @param result what the call returned
   * @param check throws when the wait must end
   * @return the code of {@link NcclResult} that it came to
   */
  int settle(int result, Runnable check) {
    int state = result;
    while (state == NcclResult.IN_PROGRESS.ordinal()) {
      check.run();
      LockSupport.parkNanos(POLL_NANOS);
      state = asyncError();
    }
    return state;
  }

  /** An error that came up since, as a code of {@link NcclResult}. */
  int asyncError() {
    return use(nccl::asyncError);
  }

  /** A code with its meaning, and what NCCL says about it. */
  String describe(int code) {
    String detail = lastError();
    return NcclResult.describe(code)
        + (detail.isEmpty() ? "" : "; NCCL says: " + detail.replace('\n', ' '));
  }

  private String lastError() {
    lock.lock();
    try {
      return handle == 0 ? "" : nccl.lastError(handle);
    } finally {
      lock.unlock();
    }
  }

  /** Ends its kernels; doesn't wait for ever for that. */
  void abort() {
    ending("ncclCommAbort", () -> end(nccl::abort));
  }

  private int end(LongToIntFunction call) {
    long taken = take();
    int code = taken == 0 ? NcclResult.SUCCESS.ordinal() : call.applyAsInt(taken);
    ended.complete(code);
    return code;
  }

  /**
   * Waits until the communicator has come to its end, in good order or aborted by any thread, and
   * frees what it worked with. What a GPU may still use, since NCCL did not come to an end, is left
   * to the end of the process.
   */
  void release(NcclStream stream) {
    boolean interrupted = Thread.interrupted(); // what is taken is given back all the same
    try {
      if (ended.get(ENDING.toMillis(), TimeUnit.MILLISECONDS) == NcclResult.SUCCESS.ordinal()) {
        ending(
            "the release of NCCL's stream",
            () -> {
              stream.close();
              return NcclResult.SUCCESS.ordinal();
            });
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (TimeoutException | ExecutionException e) {
      LOG.warn("NCCL did not come to an end, its stream stays");
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Success, or the code that the call came to; in progress if it does not return. */
  private int ending(String name, IntSupplier call) {
    CompletableFuture<Integer> code = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .name(name)
        .start(
            () -> {
              try {
                gpu.use();
                code.complete(call.getAsInt());
              } catch (RuntimeException e) {
                code.completeExceptionally(e);
              }
            });
    int result = NcclResult.IN_PROGRESS.ordinal();
    try {
      result = code.get(ENDING.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (TimeoutException e) {
      LOG.warn("{} did not return within {} s", name, ENDING.toSeconds());
    } catch (ExecutionException e) {
      LOG.warn("{} failed: {}", name, e.getCause().getMessage());
    }
    if (result != NcclResult.SUCCESS.ordinal()) {
      LOG.warn("{}: {}", name, NcclResult.describe(result));
    }
    return result;
  }

  /**
   * Ends in good order, within some seconds.
   *
   * @return success, or the code of {@link NcclResult} that it hung or broke with
   */
  int finish() {
    if (!isConnected()) {
      return end(nccl::destroy);
    }
    long start = System.nanoTime();
    int state = use(nccl::finish);
    // A non-blocking communicator is not finished when the call has returned, even with success.
    if (state == NcclResult.SUCCESS.ordinal() || state == NcclResult.IN_PROGRESS.ordinal()) {
      state = asyncError();
    }
    while (state == NcclResult.IN_PROGRESS.ordinal()
        && System.nanoTime() - start < ENDING.toNanos()) {
      LockSupport.parkNanos(1_000_000);
      state = asyncError();
    }
    if (state != NcclResult.SUCCESS.ordinal()) {
      return state;
    }
    return ending("ncclCommDestroy", () -> end(nccl::destroy));
  }
}
