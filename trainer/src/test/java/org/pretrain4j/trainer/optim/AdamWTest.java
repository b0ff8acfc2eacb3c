package org.pretrain4j.trainer.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.trainer.kernels.OffHeap;
import org.pretrain4j.trainer.kernels.WorkerPool;

class AdamWTest {
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.95;
  private static final double EPSILON = 1e-8;

  /** The numbers come from torch.optim.AdamW in float64. */
  @Test
  void agreesWithTorch() {
    float[] p = {0.5f, -1.25f, 3f, -0.001f};
    try (WorkerPool pool = new WorkerPool(1)) {
      AdamW.Shard shard = shard(p, new float[4], new float[4], new float[4]);
      for (int t = 1; t <= 10; t++) {
        float[] gradient = new float[4];
        for (int i = 0; i < 4; i++) {
          gradient[i] = (float) (Math.sin(t * (i + 1)) * Math.pow(10, -2 * i));
        }
        MemorySegment.copy(OffHeap.floats(gradient), 0, shard.gradient(), 0, 16);
        adamW(pool).step(shard, decay(4, 0.1), t, 0.01, 1);
      }
      double[] parameters = {
        0.45858615712254264, -1.2511282908114212, 2.9617820036362725, 0.010890930047373399
      };
      double[] firstMoments = {
        0.07403764470184816, 0.0004713670515811077, -5.132723487353653e-06, 1.6463390314284126e-08
      };
      double[] secondMoments = {
        0.19578035310415576, 2.212022264592641e-05, 2.1832863898588053e-09, 2.2061006572937793e-13
      };
      assertClose(parameters, shard.master(), 1e-6, 0);
      assertClose(firstMoments, shard.expAvg(), 2e-6, 0);
      assertClose(secondMoments, shard.expAvgSq(), 1e-6, 0);
    }
  }

  @Test
  void agreesWithTheFormulaInFloat64() {
    long seed = 4711;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    int n = 1003;
    float[] start = OffHeap.gaussian(random, n, 0.02);
    AdamW.Shard shard = shard(start, new float[n], new float[n], new float[n]);
    double[] p = new double[n];
    double[] m = new double[n];
    double[] v = new double[n];
    for (int i = 0; i < n; i++) {
      p[i] = start[i];
    }
    double rate = 2e-3;
    double scale = 0.37;
    try (WorkerPool pool = new WorkerPool(2)) {
      for (int t = 1; t <= 20; t++) {
        float[] gradient = OffHeap.gaussian(random, n, 3);
        MemorySegment.copy(OffHeap.floats(gradient), 0, shard.gradient(), 0, 4L * n);
        var decays =
            List.of(
                new WeightDecayRange(new FlatRange(50, 150), 0),
                new WeightDecayRange(new FlatRange(700, 1603), 0.3));
        adamW(pool).step(shard, decays, t, rate, scale);
        for (int i = 0; i < n; i++) {
          double g = gradient[i] * scale;
          p[i] *= 1 - rate * (i < 100 ? 0 : 0.3);
          m[i] = BETA1 * m[i] + (1 - BETA1) * g;
          v[i] = BETA2 * v[i] + (1 - BETA2) * g * g;
          double mHat = m[i] / (1 - Math.pow(BETA1, t));
          double vHat = v[i] / (1 - Math.pow(BETA2, t));
          p[i] -= rate * mHat / (Math.sqrt(vHat) + EPSILON);
        }
      }
    }
    assertClose(m, shard.expAvg(), 1e-6, 1e-6);
    assertClose(v, shard.expAvgSq(), 2e-6, 0);
    assertClose(p, shard.master(), 1e-6, 1e-7);
    float[] rounded = OffHeap.fromBfloat16(shard.bfloat16().orElseThrow());
    float[] master = OffHeap.toFloats(shard.master());
    for (int i = 0; i < n; i++) {
      assertEquals(OffHeap.rounded(master[i]), rounded[i]);
    }
  }

  @Test
  void bitsDoNotDependOnShardsNorOnThreads() {
    long seed = 99;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    int n = 70_001;
    float[][] start = new float[4][];
    for (int i = 0; i < 4; i++) {
      start[i] = OffHeap.gaussian(random, n, 1);
    }
    for (int i = 0; i < n; i++) {
      start[2][i] *= start[2][i];
    }
    AdamW.Shard whole = shard(start);
    try (WorkerPool pool = new WorkerPool(1)) {
      adamW(pool).step(whole, decay(n, 0.1), 5, 1e-2, 0.7);
    }
    AdamW.Shard pieces = shard(start);
    try (WorkerPool pool = new WorkerPool(3)) {
      for (int from = 0; from < n; ) {
        int length = Math.min(n - from, 1 + random.nextInt(random.nextBoolean() ? 40 : 20_000));
        AdamW.Shard piece =
            new AdamW.Shard(
                pieces.master().asSlice(4L * from, 4L * length),
                pieces.expAvg().asSlice(4L * from, 4L * length),
                pieces.expAvgSq().asSlice(4L * from, 4L * length),
                pieces.gradient().asSlice(4L * from, 4L * length),
                Optional.of(pieces.bfloat16().orElseThrow().asSlice(2L * from, 2L * length)));
        adamW(pool).step(piece, decay(length, 0.1), 5, 1e-2, 0.7);
        from += length;
      }
    }
    assertEquals(-1, whole.master().mismatch(pieces.master()));
    assertEquals(-1, whole.expAvg().mismatch(pieces.expAvg()));
    assertEquals(-1, whole.expAvgSq().mismatch(pieces.expAvgSq()));
    assertEquals(-1, whole.bfloat16().orElseThrow().mismatch(pieces.bfloat16().orElseThrow()));
    AdamW.Shard threaded = shard(start);
    try (WorkerPool pool = new WorkerPool(4)) {
      adamW(pool).step(threaded, decay(n, 0.1), 5, 1e-2, 0.7);
    }
    assertEquals(-1, whole.master().mismatch(threaded.master()));
  }

  @Test
  void learningRateZeroLeavesTheParametersAndMovesTheMoments() {
    float[] p = {1, 2, 3};
    AdamW.Shard shard = shard(p, new float[3], new float[3], new float[] {1, 1, 1});
    try (WorkerPool pool = new WorkerPool(1)) {
      adamW(pool).step(shard, decay(3, 0.1), 1, 0, 1);
    }
    assertArrayEquals(p, OffHeap.toFloats(shard.master()));
    assertArrayEquals(new float[] {0.1f, 0.1f, 0.1f}, OffHeap.toFloats(shard.expAvg()), 1e-7f);
  }

  @Test
  void refusesWhatIsNotFiniteAndDecayOfAnotherLengthBeforeAnyWrite() {
    float[] p = {1, 2, 3};
    AdamW.Shard shard = shard(p, new float[3], new float[3], new float[] {1, 1, 1});
    try (WorkerPool pool = new WorkerPool(1)) {
      AdamW adamW = adamW(pool);
      var threeElements = decay(3, 0.1);
      var twoElements = decay(2, 0.1);
      assertThrows(
          IllegalArgumentException.class,
          () -> adamW.step(shard, threeElements, 1, 0.1, Double.NaN));
      assertThrows(
          IllegalArgumentException.class,
          () -> adamW.step(shard, threeElements, 1, Double.POSITIVE_INFINITY, 1));
      assertThrows(
          IllegalArgumentException.class, () -> adamW.step(shard, threeElements, 0, 0.1, 1));
      assertThrows(IllegalArgumentException.class, () -> adamW.step(shard, twoElements, 1, 0.1, 1));
    }
    assertArrayEquals(p, OffHeap.toFloats(shard.master()));
    assertArrayEquals(new float[3], OffHeap.toFloats(shard.expAvg()));
  }

  private static AdamW adamW(WorkerPool pool) {
    return new AdamW(new AdamWSettings(BETA1, BETA2, EPSILON), pool);
  }

  private static List<WeightDecayRange> decay(long elements, double weightDecay) {
    return List.of(new WeightDecayRange(new FlatRange(0, elements), weightDecay));
  }

  private static AdamW.Shard shard(float[]... arrays) {
    return new AdamW.Shard(
        OffHeap.floats(arrays[0]),
        OffHeap.floats(arrays[1]),
        OffHeap.floats(arrays[2]),
        OffHeap.floats(arrays[3]),
        Optional.of(OffHeap.bfloat16((long) arrays[0].length)));
  }

  private static void assertClose(
      double[] expected, MemorySegment actual, double relative, double absolute) {
    float[] values = OffHeap.toFloats(actual);
    for (int i = 0; i < expected.length; i++) {
      double tolerance = relative * Math.abs(expected[i]) + absolute;
      assertEquals(expected[i], values[i], tolerance, "element " + i);
    }
  }
}
