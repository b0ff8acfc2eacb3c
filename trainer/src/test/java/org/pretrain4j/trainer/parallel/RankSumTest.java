package org.pretrain4j.trainer.parallel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RankSumTest {

  private static float[] reduce(ElementType type, Reduction reduction, float[]... inputs) {
    try (Arena arena = Arena.ofConfined()) {
      FlatBuffer[] buffers = new FlatBuffer[inputs.length];
      for (int rank = 0; rank < inputs.length; rank++) {
        buffers[rank] = RankMemory.buffer(arena, type, inputs[rank]);
      }
      FlatBuffer[] output = {RankMemory.buffer(arena, type, new float[inputs[0].length])};
      new RankSum(type, inputs[0].length)
          .reduce(buffers, 0, output, 0, inputs[0].length, reduction);
      return RankMemory.values(output[0]);
    }
  }

  @Test
  void bfloat16IsRoundedToNearestEvenForEveryKindOfNumber() {
    long seed = 6;
    Random random = new Random(seed);
    int count = 3 * RankSum.BLOCK + 5;
    float[] first = new float[count];
    float[] second = new float[count];
    for (int i = 0; i < count; i++) {
      first[i] = RankMemory.rounded(ElementType.BFLOAT16, Float.intBitsToFloat(random.nextInt()));
      second[i] = RankMemory.rounded(ElementType.BFLOAT16, Float.intBitsToFloat(random.nextInt()));
    }
    first[0] = 256f; // a tie: 257 lies between 256 and 258, 259 between 258 and 260
    second[0] = 1f;
    first[1] = 258f;
    second[1] = 1f;
    first[2] = Float.POSITIVE_INFINITY;
    second[2] = Float.NEGATIVE_INFINITY;
    first[3] = 0x1.FEp127f; // the largest bfloat16
    second[3] = 0x1p119f; // pushes it over the edge
    float[] sum = reduce(ElementType.BFLOAT16, Reduction.SUM, first, second);
    for (int i = 0; i < count; i++) {
      float expected = RankMemory.rounded(ElementType.BFLOAT16, first[i] + second[i]);
      assertEquals(expected, sum[i], "seed " + seed + ": " + first[i] + " + " + second[i]);
    }
    assertEquals(256f, sum[0]);
    assertEquals(260f, sum[1]);
    assertTrue(Float.isNaN(sum[2]));
    assertEquals(Float.POSITIVE_INFINITY, sum[3]);
  }

  @Test
  void bfloat16SumsKeepWhatSingleAdditionsWouldLose() {
    float[][] inputs = new float[129][];
    inputs[0] = new float[] {256f};
    for (int rank = 1; rank <= 128; rank++) {
      inputs[rank] = new float[] {1f}; // 256 + 1 is 256 in bfloat16
    }
    assertArrayEquals(new float[] {384f}, reduce(ElementType.BFLOAT16, Reduction.SUM, inputs));
  }

  @Test
  void float32IsAddedInTheOrderOfRanks() {
    float[] sum =
        reduce(
            ElementType.FLOAT32,
            Reduction.SUM,
            new float[] {1e8f},
            new float[] {-1e8f},
            new float[] {1f});
    assertArrayEquals(new float[] {1f}, sum); // any other order gives 0
  }

  @Test
  void maxLetsNanThrough() {
    float[] max =
        reduce(
            ElementType.FLOAT32,
            Reduction.MAX,
            new float[] {1f, Float.NaN, -3f},
            new float[] {2f, 0f, -2f});
    assertArrayEquals(new float[] {2f, Float.NaN, -2f}, max);
  }
}
