package org.pretrain4j.launch;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.hadoop.util.ShutdownHookManager;

/**
 * Lets a command finish its work after SIGINT or SIGTERM, and end with its own exit code.
 *
 * <p>Portable Java hears these signals only as the beginning of the JVM's shutdown. So a shutdown
 * hook tells the command to stop, waits until it has ended, and halts the JVM with the command's
 * exit code. It is one of Hadoop's hooks, which run one after the other: Hadoop's own, which closes
 * all file systems, must not run while a checkpoint is being written.
 */
final class GracefulStop {
  /** Above that of Hadoop's file systems, so that this hook runs first. */
  private static final int PRIORITY = 100;

  /** Exit code of a process that SIGTERM ends at once. */
  private static final int TERMINATED = 143;

  private final CompletableFuture<Integer> exitCode = new CompletableFuture<>();

  /**
   * From now on a signal calls the action instead of ending the JVM.
   *
   * @param grace for the command to end; then the JVM ends as if it had not heard the signal
   */
  void on(Runnable stop, Duration grace) {
    Runnable hook =
        () -> {
          // A command that has ended leads here too, through System.exit.
          if (!exitCode.isDone()) {
            stop.run();
          }
          Runtime.getRuntime().halt(await(grace));
        };
    long longer = grace.plus(Duration.ofMinutes(1)).toSeconds();
    ShutdownHookManager.get().addShutdownHook(hook, PRIORITY, longer, TimeUnit.SECONDS);
  }

  private int await(Duration grace) {
    try {
      return exitCode.get(grace.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      System.err.println(
          "error: not done within " + grace.toSeconds() + " s of the signal, so it ends as it is");
      return TERMINATED;
    } catch (InterruptedException | ExecutionException e) {
      return TERMINATED;
    }
  }

  /** The command has ended with this code; nothing is left to wait for. */
  void ended(int code) {
    exitCode.complete(code);
  }
}
