package org.pretrain4j.trainer.parallel;

import java.util.Locale;

/**
 * What a rank asks of the others; all ranks must ask for the same with their n-th call.
 *
 * @param kind which collective
 * @param type of the elements; null where there are none
 * @param elements as counted on one rank: of the input, for a gather or a scatter of the smaller of
 *     the two buffers
 * @param reduction null unless the collective reduces
 * @param root the rank that sends; -1 unless the collective has one
 */
public record CollectiveCall(
    Kind kind, ElementType type, long elements, Reduction reduction, int root) {

  /** Which collective. */
  public enum Kind {
    ALL_REDUCE("allReduce"),
    REDUCE_SCATTER("reduceScatter"),
    ALL_GATHER("allGather"),
    BROADCAST("broadcast"),
    BARRIER("barrier"),
    BROADCAST_BYTES("broadcastBytes"),
    ALL_GATHER_LONGS("allGatherLongs");

    private final String method;

    Kind(String method) {
      this.method = method;
    }

    /** The name of the method of {@link Collectives}. */
    public String method() {
      return method;
    }
  }

  /** A barrier. */
  public static CollectiveCall barrier() {
    return new CollectiveCall(Kind.BARRIER, null, 0, null, -1);
  }

  /** A broadcast of a message whose length only the root knows. */
  public static CollectiveCall broadcastBytes(int root, int worldSize) {
    requireRank(root, worldSize);
    return new CollectiveCall(Kind.BROADCAST_BYTES, null, 0, null, root);
  }

  /**
   * An all-gather of a few longs.
   *
   * @throws IllegalArgumentException if there are none, or more than {@link Collectives#MOST_LONGS}
   */
  public static CollectiveCall allGatherLongs(int count) {
    if (count < 1 || count > Collectives.MOST_LONGS) {
      throw new IllegalArgumentException(
          "an all-gather of " + count + " longs, from 1 to " + Collectives.MOST_LONGS + " travel");
    }
    return new CollectiveCall(Kind.ALL_GATHER_LONGS, null, count, null, -1);
  }

  /** An all-reduce of this buffer. */
  public static CollectiveCall allReduce(FlatBuffer buffer, Reduction reduction) {
    return new CollectiveCall(Kind.ALL_REDUCE, buffer.type(), buffer.elements(), reduction, -1);
  }

  /**
   * A reduce-scatter by sum.
   *
   * @throws IllegalArgumentException unless input = worldSize x output
   */
  public static CollectiveCall reduceScatter(FlatBuffer input, FlatBuffer output, int worldSize) {
    requireMultiple("reduceScatter", "input", input, "output", output, worldSize);
    return new CollectiveCall(
        Kind.REDUCE_SCATTER, output.type(), output.elements(), Reduction.SUM, -1);
  }

  /**
   * An all-gather.
   *
   * @throws IllegalArgumentException unless output = worldSize x input
   */
  public static CollectiveCall allGather(FlatBuffer input, FlatBuffer output, int worldSize) {
    requireMultiple("allGather", "output", output, "input", input, worldSize);
    return new CollectiveCall(Kind.ALL_GATHER, input.type(), input.elements(), null, -1);
  }

  /**
   * A broadcast of a buffer.
   *
   * @throws IllegalArgumentException if there is no such root
   */
  public static CollectiveCall broadcast(FlatBuffer buffer, int root, int worldSize) {
    requireRank(root, worldSize);
    return new CollectiveCall(Kind.BROADCAST, buffer.type(), buffer.elements(), null, root);
  }

  private static void requireRank(int root, int worldSize) {
    if (root < 0 || root >= worldSize) {
      throw new IllegalArgumentException(
          "broadcast from rank " + root + " in a world of " + worldSize);
    }
  }

  private static void requireMultiple(
      String method, String bigName, FlatBuffer big, String smallName, FlatBuffer small, int n) {
    if (big.type() != small.type() || big.elements() != Math.multiplyExact(small.elements(), n)) {
      throw new IllegalArgumentException(
          "%s in a world of %d: %s is %s, %s is %s; %s must be %d x %s, of the same type"
              .formatted(method, n, bigName, big, smallName, small, bigName, n, smallName));
    }
  }

  /** Size of the counted elements in bytes. */
  public long bytes() {
    return type == null ? 0 : elements * type.bytes();
  }

  /** Size in bytes of what the ranks' parts make up together; the size where there are no parts. */
  public long wholeBytes(int worldSize) {
    return switch (kind) {
      case REDUCE_SCATTER, ALL_GATHER -> bytes() * worldSize;
      default -> bytes();
    };
  }

  /** Such as {@code collective #17 barrier()}, for messages. */
  public String at(long sequence) {
    return "collective #" + sequence + " " + this;
  }

  /** Such as {@code allReduce(sum, float32 x 1000, 4000 bytes)}. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder(kind.method()).append('(');
    if (reduction != null) {
      text.append(reduction.name().toLowerCase(Locale.ROOT)).append(", ");
    }
    if (root >= 0) {
      text.append("root ").append(root).append(type == null ? "" : ", ");
    }
    if (kind == Kind.ALL_GATHER_LONGS) {
      text.append(elements);
    }
    if (type != null) {
      text.append(type.name().toLowerCase(Locale.ROOT)).append(" x ").append(elements);
      text.append(", ").append(bytes()).append(" bytes");
    }
    return text.append(')').toString();
  }
}
