package org.pretrain4j.data.shards;

import java.time.Duration;
import java.util.Optional;
import org.pretrain4j.data.storage.LocalCache;

/**
 * What to do when a shard cannot be read while training.
 *
 * @param attempts how often a block is read before it counts as failed; the file may be on a slow
 *     or failing network
 * @param firstDelay before the second attempt; doubled before each further one, up to a minute
 * @param quarantine if present, blocks that are damaged or missing are recorded there and their
 *     sequences substituted; if absent, they stop the run. A source that is not reachable always
 *     stops the run: it is no property of the data that all ranks would see alike
 * @param localCache if present, blocks of datasets that are not on a local file system pass through
 *     it. With or without, the next blocks of such a shard are fetched while one is in use
 */
public record ReadPolicy(
    int attempts,
    Duration firstDelay,
    Optional<Quarantine> quarantine,
    Optional<LocalCache> localCache) {
  private static final Duration LONGEST_DELAY = Duration.ofMinutes(1);

  public ReadPolicy {
    if (attempts < 1 || firstDelay.isNegative()) {
      throw new IllegalArgumentException(attempts + " attempts, delay " + firstDelay);
    }
  }

  public ReadPolicy(int attempts, Duration firstDelay, Optional<Quarantine> quarantine) {
    this(attempts, firstDelay, quarantine, Optional.empty());
  }

  public ReadPolicy withLocalCache(LocalCache cache) {
    return new ReadPolicy(attempts, firstDelay, quarantine, Optional.of(cache));
  }

  /** Three attempts, then stop. */
  public static ReadPolicy stop() {
    return new ReadPolicy(3, Duration.ofMillis(200), Optional.empty());
  }

  /** Three attempts, then substitute. */
  public static ReadPolicy substitute(Quarantine quarantine) {
    return new ReadPolicy(3, Duration.ofMillis(200), Optional.of(quarantine));
  }

  /** Waits before an attempt, counted from 1. */
  void pause(int attempt) {
    if (attempt > 1) {
      long millis = firstDelay.toMillis() << Math.min(attempt - 2, 20);
      try {
        Thread.sleep(Math.min(millis, LONGEST_DELAY.toMillis()));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
