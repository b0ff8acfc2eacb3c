package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EmbeddingTest {
  private static final WorkerPool POOL = new WorkerPool(3);

  @AfterAll
  static void close() {
    POOL.close();
  }

  @ParameterizedTest
  @CsvSource({"1, true", "37, true", "300, true", "300, false", "256, true"})
  void gathersRowsAndScattersGradientsInTheOrderOfTokens(int hidden, boolean bfloat16) {
    System.out.println("seed " + hidden);
    Random random = new Random(hidden);
    int vocab = 9; // fewer than tokens, so that tokens repeat
    int[] tokens = random.ints(50, 0, vocab).toArray();
    Matrix table = OffHeap.gaussian(random, vocab, hidden, bfloat16, 1);
    Matrix output = OffHeap.zeros(tokens.length, hidden, bfloat16);
    Embedding.forward(POOL, table, tokens, output);
    Matrix dOutput = OffHeap.gaussian(random, tokens.length, hidden, bfloat16, 1);
    Matrix dTable = OffHeap.gaussian(random, vocab, hidden, false, 1);
    float[] expected = OffHeap.values(dTable);
    float[] d = OffHeap.values(dOutput);
    float[] rows = OffHeap.values(table);
    for (int t = 0; t < tokens.length; t++) {
      assertArrayEquals(
          Arrays.copyOfRange(rows, tokens[t] * hidden, (tokens[t] + 1) * hidden),
          Arrays.copyOfRange(OffHeap.values(output), t * hidden, (t + 1) * hidden));
      for (int i = 0; i < hidden; i++) {
        expected[tokens[t] * hidden + i] += d[t * hidden + i];
      }
    }
    Embedding.backward(POOL, dOutput, tokens, dTable);
    assertArrayEquals(expected, OffHeap.values(dTable));
  }

  @Test
  void refusesATokenOutsideOfTheVocabulary() {
    Matrix table = OffHeap.zeros(4, 2, true);
    Matrix output = OffHeap.zeros(1, 2, true);
    for (int token : new int[] {4, -1}) {
      assertThrows(
          IllegalArgumentException.class,
          () -> Embedding.forward(POOL, table, new int[] {token}, output));
    }
  }
}
