package org.pretrain4j.trainer.parallel.tcp;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.pretrain4j.trainer.parallel.GroupFailure;
import org.pretrain4j.trainer.parallel.ProcessCollectives;

/**
 * The collectives that this rank has called and that are not complete, whose turn it is among the
 * large ones, and which ranks will not take part any more. Guarded by the lock of {@link
 * TcpCollectives}.
 */
final class TcpOperations {
  private final Map<Long, TcpOperation> called = new TreeMap<>();

  /** Large collectives whose turn is to come. */
  private final Deque<TcpOperation> queue = new ArrayDeque<>();

  private int largeUnderWay;

  /** Ranks that have ended, with the number of their collectives. */
  private final Map<Integer, Long> gone = new TreeMap<>();

  void add(TcpOperation operation) {
    called.put(operation.sequence(), operation);
    queue.add(operation);
  }

  /**
   * The next one whose turn has come: in the order of their calls, which is the same on all ranks;
   * small ones don't wait for large ones.
   */
  Optional<TcpOperation> next() {
    boolean full = largeUnderWay >= ProcessCollectives.UNDER_WAY;
    Optional<TcpOperation> next =
        queue.stream().filter(operation -> !full || !operation.isLarge()).findFirst();
    next.ifPresent(
        operation -> {
          queue.remove(operation);
          largeUnderWay += operation.isLarge() ? 1 : 0;
        });
    return next;
  }

  void complete(TcpOperation operation) {
    called.remove(operation.sequence());
    largeUnderWay -= operation.isLarge() ? 1 : 0;
  }

  boolean isWaiting(long sequence) {
    return called.containsKey(sequence) && begun(sequence) == null;
  }

  /** The collective, if this rank has called it and its turn has come; else null. */
  TcpOperation begun(long sequence) {
    TcpOperation operation = called.get(sequence);
    return operation != null && operation.hasBegun() ? operation : null;
  }

  /** Ranks whose bytes are missing: of this collective or, before its turn, of the first one. */
  List<Integer> missing(TcpOperation operation) {
    boolean waits = isWaiting(operation.sequence());
    return (waits ? called.values().iterator().next() : operation).missing();
  }

  /** A rank calls no more than so many collectives. */
  void left(int peer, long collectives) {
    gone.put(peer, collectives);
  }

  boolean hasLeft(int peer) {
    return gone.containsKey(peer);
  }

  /** Number of ranks that have ended. */
  int departures() {
    return gone.size();
  }

  boolean isEmpty() {
    return called.isEmpty();
  }

  /** That a rank has ended which a collective still needs. */
  Optional<GroupFailure> departedTooSoon() {
    return gone.entrySet().stream()
        .filter(
            left ->
                called.values().stream()
                    .anyMatch(
                        operation ->
                            operation.sequence() >= left.getValue()
                                && operation.missing().contains(left.getKey())))
        .findFirst()
        .map(left -> GroupFailure.left(left.getKey(), left.getValue()));
  }
}
