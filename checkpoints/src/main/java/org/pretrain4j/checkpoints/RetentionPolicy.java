package org.pretrain4j.checkpoints;

import java.time.Duration;
import java.time.Instant;
import org.pretrain4j.configuration.UserException;

/**
 * Which checkpoints stay: those that any of the rules keeps. Pinned ones and the newest good one
 * stay whatever the rules say.
 *
 * @param keepLast how many of the newest ones stay, at least 1
 * @param keepEverySteps those whose step is a multiple of this stay; 0 for none
 * @param keepYoungerThan those that were saved less than this ago stay; zero for none
 */
public record RetentionPolicy(int keepLast, long keepEverySteps, Duration keepYoungerThan) {
  public RetentionPolicy {
    if (keepLast < 1) {
      throw new UserException("at least 1 checkpoint must be kept, not " + keepLast);
    }
    if (keepEverySteps < 0 || keepYoungerThan.isNegative()) {
      throw new UserException(
          "checkpoints can't be kept every %d steps or %s long; give 0 for no such rule"
              .formatted(keepEverySteps, keepYoungerThan));
    }
  }

  /** Keeps the newest ones only. */
  public static RetentionPolicy newest(int keepLast) {
    return new RetentionPolicy(keepLast, 0, Duration.ZERO);
  }

  boolean keepsByStepOrAge(long step, Instant savedAt, Instant now) {
    return (keepEverySteps > 0 && step % keepEverySteps == 0)
        || Duration.between(savedAt, now).compareTo(keepYoungerThan) < 0;
  }
}
