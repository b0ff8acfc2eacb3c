package org.pretrain4j.trainer.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AccumulationTest {
  private static final WorkerPool POOL = new WorkerPool(2);

  @AfterAll
  static void close() {
    POOL.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 31, 32, 70_003})
  void addsAndConvertsElementByElement(int n) {
    Random random = new Random(n);
    float[] a = OffHeap.gaussian(random, n, 1);
    float[] b = OffHeap.gaussian(random, n, 1);
    float[] sum = new float[n];
    float[] sumWithRounded = new float[n];
    float[] rounded = new float[n];
    for (int i = 0; i < n; i++) {
      sum[i] = a[i] + b[i];
      rounded[i] = OffHeap.rounded(b[i]);
      sumWithRounded[i] = a[i] + rounded[i];
    }

    MemorySegment floats = OffHeap.floats(a);
    Accumulation.add(POOL, floats, OffHeap.floats(b));
    assertArrayEquals(sum, OffHeap.toFloats(floats));

    floats = OffHeap.floats(a);
    Accumulation.addBfloat16(POOL, floats, OffHeap.bfloat16(b));
    assertArrayEquals(sumWithRounded, OffHeap.toFloats(floats));

    Accumulation.widen(POOL, floats, OffHeap.bfloat16(b));
    assertArrayEquals(rounded, OffHeap.toFloats(floats));

    MemorySegment halves = OffHeap.bfloat16(a);
    Accumulation.narrow(POOL, halves, OffHeap.floats(b));
    assertArrayEquals(rounded, OffHeap.fromBfloat16(halves));

    MemorySegment longer = OffHeap.floats(n + 1L);
    MemorySegment shorter = OffHeap.floats(a);
    assertThrows(IllegalArgumentException.class, () -> Accumulation.add(POOL, longer, shorter));
  }
}
