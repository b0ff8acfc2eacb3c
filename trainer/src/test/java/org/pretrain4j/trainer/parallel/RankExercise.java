package org.pretrain4j.trainer.parallel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.CRC32C;

/**
 * Many collectives on random buffers of random sizes, checked against sums that each rank makes
 * alone. Every engine must pass it, and engines for host memory must give the same checksum.
 */
public final class RankExercise {
  private static final int[] SIZES = {0, 1, 17, 1000, 4097, 30_001};

  private RankExercise() {}

  private static float[] input(ElementType type, long seed, int rank, int count) {
    Random random = new Random(seed * 10_007 + rank);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = RankMemory.rounded(type, (float) random.nextGaussian());
    }
    return values;
  }

  private static float[] reduce(
      ElementType type, long seed, int ranks, int count, Reduction reduction) {
    float[] result = input(type, seed, 0, count);
    for (int rank = 1; rank < ranks; rank++) {
      float[] values = input(type, seed, rank, count);
      for (int i = 0; i < count; i++) {
        result[i] =
            reduction == Reduction.SUM ? result[i] + values[i] : Math.max(result[i], values[i]);
      }
    }
    for (int i = 0; i < count; i++) {
      result[i] = RankMemory.rounded(type, result[i]);
    }
    return result;
  }

  /** Throws an AssertionError at the first difference; gives a checksum of all results. */
  public static long run(Collectives collectives, long seed) {
    int rank = collectives.rank();
    int ranks = collectives.worldSize();
    CRC32C checksum = new CRC32C();
    try (Arena arena = Arena.ofShared()) {
      for (ElementType type : ElementType.values()) {
        for (int part : SIZES) {
          seed++;
          int all = part * ranks;
          float[] mine = input(type, seed, rank, all);
          float[] sum = reduce(type, seed, ranks, all, Reduction.SUM);
          FlatBuffer summed = RankMemory.buffer(arena, type, mine);
          FlatBuffer largest = RankMemory.buffer(arena, type, mine);
          FlatBuffer uneven =
              RankMemory.buffer(arena, type, input(type, seed, rank, all + ranks - 1));
          FlatBuffer input = RankMemory.buffer(arena, type, mine);
          FlatBuffer output = RankMemory.buffer(arena, type, new float[part]);
          FlatBuffer gathered = RankMemory.buffer(arena, type, new float[all]);
          // All under way at once, and awaited out of order.
          Pending first = collectives.allReduce(summed, Reduction.SUM);
          Pending second = collectives.reduceScatter(input, output);
          Pending third = collectives.allReduce(largest, Reduction.MAX);
          Pending fourth = collectives.allReduce(uneven, Reduction.SUM);
          second.await();
          FlatBuffer slot = gathered.slice((long) rank * part, part);
          slot.segment().copyFrom(output.segment());
          Pending fifth = collectives.allGather(slot, gathered);
          fourth.await();
          first.await();
          third.await();
          fifth.await();
          same(type + " allReduce of " + all, sum, summed);
          same("reduceScatter", Arrays.copyOfRange(sum, rank * part, (rank + 1) * part), output);
          same("max", reduce(type, seed, ranks, all, Reduction.MAX), largest);
          same("uneven", reduce(type, seed, ranks, all + ranks - 1, Reduction.SUM), uneven);
          same("allGather", sum, gathered);
          int root = (int) (seed % ranks);
          collectives.broadcast(input, root).await();
          same("broadcast", input(type, seed, root, all), input);
          for (FlatBuffer result : new FlatBuffer[] {summed, largest, uneven, gathered, input}) {
            MemorySegment bytes = result.segment();
            checksum.update(bytes.toArray(ValueLayout.JAVA_BYTE));
          }
        }
      }
      byte[] message = collectives.broadcastBytes(rank == 0 ? new byte[] {1, 2, 3} : null, 0);
      long[] values = collectives.allGatherLong(1L << (40 + rank));
      collectives.barrier();
      if (message.length != 3 || values[ranks - 1] != 1L << (40 + ranks - 1)) {
        throw new AssertionError("small messages");
      }
      gatherSeveral(collectives);
    }
    return checksum.getValue();
  }

  /** Each number of values that may travel, none equal to another. */
  private static void gatherSeveral(Collectives collectives) {
    for (int count = 1; count <= Collectives.MOST_LONGS; count++) {
      long[] mine = new long[count];
      long[] expected = new long[collectives.worldSize() * count];
      for (int i = 0; i < expected.length; i++) {
        expected[i] = ~((long) i << 33) - count;
        if (i / count == collectives.rank()) {
          mine[i % count] = expected[i];
        }
      }
      long[] all = collectives.allGatherLongs(mine);
      if (!Arrays.equals(expected, all)) {
        throw new AssertionError(Arrays.toString(all) + " of " + Arrays.toString(expected));
      }
    }
  }

  private static void same(String what, float[] expected, FlatBuffer actual) {
    float[] values = RankMemory.values(actual);
    if (!Arrays.equals(expected, values)) {
      throw new AssertionError(
          what + " of " + actual + " differs at " + Arrays.mismatch(expected, values));
    }
  }
}
