package org.pretrain4j.trainer.parallel.nccl;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Collectives that the device waits for and the host does not, in their order. A thread of its own
 * looks after them, as the host may be held up in the driver by one that never ends.
 */
final class FollowedOperations {
  private record Followed(NcclOperation operation, long sinceNanos) {}

  private final Deque<Followed> underWay = new ArrayDeque<>();
  private final Predicate<NcclOperation> isDone;
  private boolean over;

  /**
   * @param isDone asks the device; not called any more once {@link #end} has returned
   */
  FollowedOperations(Predicate<NcclOperation> isDone) {
    this.isDone = isDone;
  }

  synchronized void add(NcclOperation operation, long nowNanos) {
    forgetDone();
    underWay.addLast(new Followed(operation, nowNanos));
  }

  /** The oldest one that has been under way for longer than that. */
  synchronized Optional<NcclOperation> late(long nowNanos, long mostNanos) {
    forgetDone();
    return Optional.ofNullable(underWay.peekFirst())
        .filter(oldest -> nowNanos - oldest.sinceNanos > mostNanos)
        .map(Followed::operation);
  }

  /** They are all in one stream, so none is done before those ahead of it. */
  private void forgetDone() {
    while (!over && !underWay.isEmpty() && isDone.test(underWay.peekFirst().operation)) {
      underWay.removeFirst();
    }
  }

  synchronized void end() {
    over = true;
    underWay.clear();
  }
}
