package org.pretrain4j.launch;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
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

  private static final long PATIENCE_DAYS = 7;

  private final CompletableFuture<Integer> exitCode = new CompletableFuture<>();

  /** From now on a signal calls the action instead of ending the JVM. */
  void on(Runnable stop) {
    Runnable hook =
        () -> {
          // A command that has ended leads here too, through System.exit.
          if (!exitCode.isDone()) {
            stop.run();
          }
          Runtime.getRuntime().halt(exitCode.join());
        };
    ShutdownHookManager.get().addShutdownHook(hook, PRIORITY, PATIENCE_DAYS, TimeUnit.DAYS);
  }

  /** The command has ended with this code; nothing is left to wait for. */
  void ended(int code) {
    exitCode.complete(code);
  }
}
