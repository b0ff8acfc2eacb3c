package org.pretrain4j.trainer.parallel.nccl;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** One rank's non-blocking communicator, from its making to its end. */
final class NcclCommunicator {
  private static final Logger LOG = LogManager.getLogger();
  private static final Duration ENDING = Duration.ofSeconds(10);
  private static final long POLL_NANOS = 20_000;

  private final Nccl nccl;
  private final Gpu gpu;
  private volatile long handle;

  NcclCommunicator(Nccl nccl, Gpu gpu) {
    this.nccl = nccl;
    this.gpu = gpu;
  }

  /** Begins to connect all ranks; {@link #settle} waits for it. */
  void connect(int worldSize, byte[] uniqueId, int rank) {
    handle = nccl.initialize(worldSize, uniqueId, rank);
  }

  long handle() {
    return handle;
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
      state = nccl.asyncError(handle);
    }
    return state;
  }

  /** An error that came up since, as a code of {@link NcclResult}. */
  int asyncError() {
    return nccl.asyncError(handle);
  }

  /** A code with its meaning, and what NCCL says about it. */
  String describe(int code) {
    String detail = nccl.lastError(handle);
    return NcclResult.describe(code)
        + (detail.isEmpty() ? "" : "; NCCL says: " + detail.replace('\n', ' '));
  }

  /** Ends its kernels; doesn't wait for ever for that. */
  void abort() {
    long broken = handle;
    if (broken == 0) {
      return;
    }
    Thread aborter =
        Thread.ofPlatform()
            .daemon()
            .name("nccl-abort")
            .start(
                () -> {
                  gpu.use();
                  int code = nccl.abort(broken);
                  if (code != NcclResult.SUCCESS.ordinal()) {
                    LOG.warn("ncclCommAbort failed: {}", NcclResult.describe(code));
                  }
                });
    try {
      if (!aborter.join(ENDING)) {
        LOG.warn("ncclCommAbort did not return within {} s", ENDING.toSeconds());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Ends in good order, within some seconds.
   *
   * @return success, or the code of {@link NcclResult} that it hung or broke with
   */
  int finish() {
    long start = System.nanoTime();
    int state = nccl.finish(handle);
    // A non-blocking communicator is not finished when the call has returned, even with success.
    if (state == NcclResult.SUCCESS.ordinal() || state == NcclResult.IN_PROGRESS.ordinal()) {
      state = nccl.asyncError(handle);
    }
    while (state == NcclResult.IN_PROGRESS.ordinal()
        && System.nanoTime() - start < ENDING.toNanos()) {
      LockSupport.parkNanos(1_000_000);
      state = nccl.asyncError(handle);
    }
    return state == NcclResult.SUCCESS.ordinal() ? nccl.destroy(handle) : state;
  }
}
