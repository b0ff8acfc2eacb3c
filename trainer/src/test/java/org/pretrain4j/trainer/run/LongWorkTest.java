package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.SoloCollectives;

@Timeout(60)
final class LongWorkTest {
  private static final Duration LONG = Duration.ofMinutes(1);

  @Test
  void othersWaitForLongWorkBeyondTheTimeoutOfACollective() throws Exception {
    AtomicBoolean done = new AtomicBoolean();
    InProcessGroup.run(
        3,
        Duration.ofMillis(1500),
        collectives -> {
          LongWork work = new LongWork(collectives, new StopRequest(), LONG);
          int result =
              work.await(
                  "counting",
                  () -> {
                    if (collectives.rank() == 1) {
                      Thread.sleep(3000);
                      done.set(true);
                    }
                    return collectives.rank();
                  });
          assertTrue(done.get(), "rank " + collectives.rank() + " did not wait");
          assertEquals(collectives.rank(), result);
        });
  }

  @Test
  void aStopOfARankThatOnlyWaitsEndsTheWorkOfTheOneThatWorks() throws Exception {
    CountDownLatch working = new CountDownLatch(1);
    Queue<Integer> stopped = new ConcurrentLinkedQueue<>();
    InProcessGroup.run(
        2,
        LONG,
        collectives -> {
          StopRequest own = new StopRequest();
          LongWork work = new LongWork(collectives, own, LONG);
          if (collectives.rank() == 1) {
            assertTrue(working.await(20, TimeUnit.SECONDS));
            own.stop();
          }
          assertThrows(
              LongWork.Stopped.class,
              () ->
                  work.awaitUnlessStopped(
                      "preparing",
                      () -> {
                        working.countDown();
                        while (collectives.rank() == 0 && !own.isWanted()) {
                          Thread.sleep(5); // as preparation does: it looks now and then
                        }
                        return null;
                      }));
          stopped.add(collectives.rank());
        });
    assertEquals(2, stopped.size());
  }

  @Test
  void workThatStopsBeforeItsRankHasToldTheOthersEndsThemAlike() throws Exception {
    Queue<Integer> stopped = new ConcurrentLinkedQueue<>();
    InProcessGroup.run(
        3,
        LONG,
        collectives -> {
          StopRequest own = new StopRequest();
          LongWork work = new LongWork(collectives, own, LONG);
          LongWork.Stopped seen =
              assertThrows(
                  LongWork.Stopped.class,
                  () ->
                      work.awaitUnlessStopped(
                          "preparing",
                          () -> {
                            if (collectives.rank() == 1) {
                              own.stop();
                              throw new LongWork.Stopped();
                            }
                            return null;
                          }));
          assertTrue(own.isWanted(), seen.getMessage());
          stopped.add(collectives.rank());
        });
    assertEquals(3, stopped.size());
  }

  @Test
  void whatSavesIsNotStopped() {
    StopRequest stop = new StopRequest();
    stop.stop();
    LongWork work = new LongWork(new SoloCollectives(), stop, LONG);
    assertEquals("saved", work.await("saving", () -> "saved"));
  }

  @Test
  void workWithoutASignOfLifeFailsAndOneWithSignsDoesNot() {
    LongWork work = new LongWork(new SoloCollectives(), new StopRequest(), Duration.ofSeconds(2));
    assertEquals(
        8,
        work.await(
            "preparing data",
            () -> {
              int signs = 0;
              for (; signs < 8; signs++) {
                Thread.sleep(400);
                work.alive();
              }
              return signs;
            }));
    IllegalStateException silent =
        assertThrows(
            IllegalStateException.class,
            () ->
                work.await(
                    "preparing data",
                    () -> {
                      Thread.sleep(60_000);
                      return null;
                    }));
    assertTrue(
        silent.getMessage().contains("preparing data has shown no progress"), silent.getMessage());
  }

  @Test
  void aFailureIsThatOfTheWork() {
    LongWork work = new LongWork(new SoloCollectives(), new StopRequest(), LONG);
    ArithmeticException failure = new ArithmeticException("no shard");
    assertEquals(
        failure,
        assertThrows(
            ArithmeticException.class,
            () ->
                work.await(
                    "reading",
                    () -> {
                      throw failure;
                    })));
  }
}
