package org.pretrain4j.trainer.parallel.faults;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.pretrain4j.configuration.ConfigurationException;
import org.pretrain4j.trainer.parallel.faults.FaultInjection.Kind;

class FaultInjectorTest {

  private static FaultInjection fault(Kind kind, long step, int rank, double seconds) {
    return new FaultInjection(kind, step, rank, 1, seconds, 1);
  }

  @Test
  void aFaultHappensToItsRankInItsStepOfItsAttemptOnly() {
    List<FaultInjection> faults = List.of(fault(Kind.NAN, 3, 1, 0));
    FaultInjector injector = new FaultInjector(faults, 1, 1);
    assertFalse(injector.beginStep(2).loss());
    assertTrue(injector.beginStep(3).loss());
    assertFalse(injector.beginStep(3).gradient());
    assertFalse(injector.beginStep(4).loss());
    assertFalse(new FaultInjector(faults, 0, 1).beginStep(3).loss());
    assertFalse(new FaultInjector(faults, 1, 2).beginStep(3).loss());
  }

  @Test
  void aFaultMayLastForSeveralSteps() {
    FaultInjection lasting = new FaultInjection(Kind.NAN_GRADIENT, 3, 0, 2, 1, 1);
    FaultInjector injector = new FaultInjector(List.of(lasting), 0, 1);
    for (int step = 0; step < 7; step++) {
      assertEquals(step == 3 || step == 4, injector.beginStep(step).gradient(), "step " + step);
      assertFalse(injector.beginStep(step).loss());
    }
  }

  @Test
  void attemptsCountFromOne() {
    ConfigurationException e =
        assertThrows(
            ConfigurationException.class, () -> new FaultInjection(Kind.NAN, 0, 0, 1, 1, 0));
    assertTrue(e.getMessage().contains("attempt"), e.getMessage());
  }

  @Test
  void aSlowRankTakesLonger() {
    FaultInjector injector = new FaultInjector(List.of(fault(Kind.SLOW, 0, 0, 0.2)), 0, 1);
    long start = System.nanoTime();
    injector.beginStep(0);
    assertTrue(System.nanoTime() - start >= 200_000_000);
  }

  @Test
  void aHangingRankDoesNotComeBackEvenIfInterrupted() throws Exception {
    FaultInjector injector = new FaultInjector(List.of(fault(Kind.HANG, 0, 0, 0)), 0, 1);
    CountDownLatch back = new CountDownLatch(1);
    Thread rank =
        Thread.ofVirtual()
            .start(
                () -> {
                  injector.beginStep(0);
                  back.countDown();
                });
    rank.interrupt();
    assertFalse(back.await(300, TimeUnit.MILLISECONDS));
  }

  @Test
  void impossibleFaultsAreRefused() {
    ConfigurationException e =
        assertThrows(ConfigurationException.class, () -> fault(Kind.SLOW, -1, 0, -2));
    assertEquals(2, e.violations().size(), e.getMessage());
  }
}
