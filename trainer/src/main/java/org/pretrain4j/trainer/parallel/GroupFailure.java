package org.pretrain4j.trainer.parallel;

import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Why a group of ranks is of no more use.
 *
 * @param kind what went wrong
 * @param culprits the ranks at fault, in ascending order; empty if unknown
 * @param message one line
 */
public record GroupFailure(CollectiveException.Kind kind, List<Integer> culprits, String message) {
  private static final int NAMED = 8;

  public GroupFailure {
    culprits = List.copyOf(culprits);
  }

  /** A rank cannot go on, for a reason of its own. */
  public static GroupFailure failed(int rank, String reason) {
    return new GroupFailure(
        CollectiveException.Kind.FAILED, List.of(rank), "rank " + rank + " failed: " + reason);
  }

  /** A rank left after so many collectives. */
  public static GroupFailure left(int rank, long collectives) {
    return new GroupFailure(
        CollectiveException.Kind.LEFT,
        List.of(rank),
        "rank "
            + rank
            + " left the group after "
            + collectives
            + " collectives, others need it still");
  }

  /**
   * The ranks called different collectives.
   *
   * @param calls who called what, such as {@code rank 0 called barrier(), rank 1 called ...}
   */
  public static GroupFailure mismatch(long sequence, Collection<Integer> ranks, String calls) {
    return new GroupFailure(
        CollectiveException.Kind.MISMATCH,
        ranks.stream().sorted().toList(),
        "the ranks differ in collective #" + sequence + ": " + calls);
  }

  /** The first eight names, and how many more there are. */
  public static String some(Collection<String> names) {
    return names.stream().limit(NAMED).collect(Collectors.joining(", "))
        + (names.size() > NAMED ? " and " + (names.size() - NAMED) + " more" : "");
  }

  /**
   * What a rank throws for it.
   *
   * @param place the collective in which the rank noticed it
   */
  public CollectiveException seenBy(int rank, String place) {
    return new CollectiveException(
        kind, culprits, rank, "%s (noticed by rank %d in %s)".formatted(message, rank, place));
  }
}
