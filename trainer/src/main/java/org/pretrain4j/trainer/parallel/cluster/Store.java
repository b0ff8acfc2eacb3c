package org.pretrain4j.trainer.parallel.cluster;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * Small values under names, the same for all ranks: the control plane. It works while collectives
 * hang, so it is where ranks say that they live and why they die.
 */
public interface Store extends AutoCloseable {
  /** Sets a value, whatever was there. */
  void set(String key, byte[] value);

  /** The value, if it is there. */
  Optional<byte[]> get(String key);

  /** All values whose keys begin so. */
  Map<String, byte[]> list(String prefix);

  /**
   * Sets a value unless there is one.
   *
   * @return the value that is there now
   */
  byte[] setIfAbsent(String key, byte[] value);

  /**
   * Leaves a value that is set, unless there is one, when this rank's process goes without {@link
   * #close}: killed, or halted. There is one at most; the last counts.
   */
  void bequeath(String key, byte[] value);

  /**
   * Waits for a value.
   *
   * @throws RendezvousException if it doesn't come in time
   */
  default byte[] await(String key, Duration timeout) {
    long end = System.nanoTime() + timeout.toNanos();
    for (long pause = 2; ; pause = Math.min(100, 2 * pause)) {
      Optional<byte[]> value = get(key);
      if (value.isPresent()) {
        return value.get();
      }
      if (System.nanoTime() > end) {
        throw new RendezvousException(
            "no rank has set '" + key + "' within " + timeout.toMillis() / 1000.0 + " s");
      }
      try {
        Thread.sleep(pause);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new RendezvousException("interrupted while waiting for '" + key + "'", e);
      }
    }
  }

  @Override
  void close();
}
