package org.pretrain4j.trainer.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;

class RankThreadsTest {
  private static final class Stopped extends RankThreads.Ended {
    private static final long serialVersionUID = 1L;

    Stopped() {
      super("stopped");
    }
  }

  private static CollectiveException left(int culprit, int seenBy) {
    return new GroupFailure(CollectiveException.Kind.LEFT, List.of(culprit), "rank left")
        .seenBy(seenBy, "barrier()");
  }

  /** What comes of ranks that throw these, one after the other. */
  private static Throwable thrown(Exception... each) {
    Object turn = new Object();
    int[] next = {0};
    return assertThrows(
        Throwable.class,
        () ->
            RankThreads.run(
                0,
                each.length,
                () -> {},
                rank -> {
                  synchronized (turn) {
                    while (next[0] < rank) {
                      turn.wait();
                    }
                    next[0]++;
                    turn.notifyAll();
                  }
                  Thread.sleep(20L * rank);
                  throw each[rank];
                }));
  }

  @Test
  void whatARankItselfFailedOfIsSaidBeforeWhatItSawOfOthers() {
    IllegalStateException own = new IllegalStateException("the disk is full");
    IllegalStateException second = new IllegalStateException("too");
    Throwable told = thrown(new Stopped(), left(7, 1), own, second);
    assertSame(own, told);
    assertEquals(List.of(second), List.of(told.getSuppressed()));
  }

  @Test
  void aRankOfThisProcessThatIsToBlameIsSaidBeforeOnesThatAreNot() {
    CollectiveException guilty = left(2, 2);
    assertSame(guilty, thrown(new Stopped(), left(2, 1), guilty));
  }

  @Test
  void anyFailureSaysMoreThanAStop() {
    CollectiveException failure = left(7, 1);
    assertSame(failure, thrown(new Stopped(), failure));
  }
}
