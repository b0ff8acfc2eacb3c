package org.pretrain4j.trainer.parallel;

import java.util.Arrays;
import java.util.List;

/**
 * A collective that cannot complete on this rank. The group is of no more use: close it, and start
 * again from the newest checkpoint.
 */
public class CollectiveException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What went wrong. */
  public enum Kind {
    /** A rank failed and said so. */
    FAILED,
    /** A rank left the group while others still needed it. */
    LEFT,
    /** The ranks called different collectives. */
    MISMATCH,
    /** A rank did not come in time. */
    TIMEOUT,
    /** The communication library reported an error. */
    BACKEND
  }

  private final Kind kind;
  private final int[] culprits;
  private final int rank;

  /**
   * @param rank that noticed it
   */
  public CollectiveException(Kind kind, List<Integer> culprits, int rank, String message) {
    super(message);
    this.kind = kind;
    this.culprits = culprits.stream().mapToInt(Integer::intValue).toArray();
    this.rank = rank;
  }

  public Kind kind() {
    return kind;
  }

  /** The ranks at fault, in ascending order; empty if unknown. */
  public List<Integer> culprits() {
    return Arrays.stream(culprits).boxed().toList();
  }

  /** Whether the rank that noticed it cannot say that only others are at fault. */
  public boolean isOwnFault() {
    return kind == Kind.MISMATCH || culprits.length == 0 || culprits().contains(rank);
  }
}
