package org.pretrain4j.spark;

import java.util.function.Supplier;
import org.pretrain4j.configuration.UserException;

/** Finds the user's mistake behind what Spark makes of a task's exception. */
final class TaskFailure {
  private TaskFailure() {}

  /**
   * Runs an action on the cluster.
   *
   * @throws UserException the one that a task threw, if a task did
   * @throws IllegalStateException if the job failed for another reason
   */
  static <T> T unwrapped(Supplier<T> action) {
    try {
      return action.get();
    } catch (Exception e) {
      // Spark, being written in Scala, also throws checked exceptions here.
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        if (cause instanceof UserException mistake) {
          throw mistake;
        }
      }
      throw new IllegalStateException("the Spark job failed", e);
    }
  }
}
