package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class CopyingTest {
  private final Copying copying = new Copying();
  private final CountDownLatch begun = new CountDownLatch(1);
  private volatile boolean ended;

  /** Copies until it is interrupted, and some time longer. */
  private Void copyForLong() {
    begun.countDown();
    while (!Thread.interrupted()) {
      LockSupport.parkNanos(1_000_000);
    }
    LockSupport.parkNanos(200_000_000);
    ended = true;
    return null;
  }

  @Test
  void theEndInterruptsACopyAndWaitsForItAndNoneBeginsAfterwards() throws Exception {
    Thread copier = Thread.ofPlatform().start(() -> copying.during(this::copyForLong));
    begun.await();
    assertFalse(ended);
    copying.end(Duration.ofMillis(50));
    assertTrue(ended);
    copier.join();
    assertThrows(IllegalStateException.class, () -> copying.during(() -> "late"));
  }

  @Test
  void aCopyThatIsSoonDoneIsLeftAlone() throws Exception {
    Thread.ofPlatform()
        .start(
            () ->
                copying.during(
                    () -> {
                      begun.countDown();
                      LockSupport.parkNanos(300_000_000);
                      ended = !Thread.currentThread().isInterrupted();
                      return null;
                    }));
    begun.await();
    copying.end(Duration.ofSeconds(30));
    assertTrue(ended);
  }
}
