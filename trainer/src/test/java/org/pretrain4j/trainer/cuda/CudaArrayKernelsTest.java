package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.lang.foreign.MemorySegment;
import java.math.BigDecimal;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.trainer.kernels.Accumulation;
import org.pretrain4j.trainer.kernels.OffHeap;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.optim.AdamW;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.GradientNorm;
import org.pretrain4j.trainer.optim.WeightDecayRange;

/** Kernels over flat arrays against the CPU's, whose bits they have. */
class CudaArrayKernelsTest {
  private static final ScalarType F32 = ScalarType.FLOAT32;
  private static final ScalarType BF16 = ScalarType.BFLOAT16;
  private static final AdamWSettings SETTINGS = new AdamWSettings(0.9, 0.95, 1e-8);
  private static final WorkerPool POOL = new WorkerPool(1);

  @AfterAll
  static void close() {
    POOL.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, true, true",
    "4, true, true",
    "1027, true, true",
    "1027, true, false",
    "1027, false, true",
    "70003, true, true"
  })
  void adamWHasTheBitsOfTheCpu(int n, boolean aligned, boolean rounds) {
    System.out.println("seed " + n);
    Random random = new Random(n);
    float[][] start = new float[4][];
    for (int i = 0; i < 4; i++) {
      start[i] = OffHeap.gaussian(random, n, Math.pow(10, -i));
    }
    for (int i = 0; i < n; i++) {
      start[2][i] *= start[2][i];
      if (i % 50 == 0) {
        start[3][i] *= 1e-36f; // squares and products below what float32 holds in full
      }
      if (i % 70 == 0) {
        start[1][i] = 0;
        start[2][i] = 0;
      }
    }
    if (n > 100) {
      start[3][5] = Float.NaN;
      start[3][6] = Float.POSITIVE_INFINITY;
      start[0][7] = Float.NEGATIVE_INFINITY;
      start[3][8] = Float.MAX_VALUE;
      start[0][9] = Float.MAX_VALUE;
    }
    double rate = 2e-3;
    double scale = 0.37;
    List<DeviceMemory> device =
        InEachOrder.run(
            launcher -> {
              List<DeviceMemory> shard = shard(start, aligned);
              CudaArrayKernels kernels = new CudaArrayKernels(launcher);
              for (int update = 1; update <= 3; update++) {
                kernels.adamW(
                    shard.get(0).address(),
                    shard.get(1).address(),
                    shard.get(2).address(),
                    shard.get(3).address(),
                    rounds ? shard.get(4).address() : 0,
                    n,
                    SETTINGS.coefficients(update, rate, 0.1, scale));
              }
              return shard;
            });
    List<DeviceMemory> host = shard(start, true);
    AdamW adamW = new AdamW(SETTINGS, POOL);
    for (int update = 1; update <= 3; update++) {
      adamW.step(
          new AdamW.Shard(
              host.get(0).memory(),
              host.get(1).memory(),
              host.get(2).memory(),
              host.get(3).memory(),
              rounds ? Optional.of(host.get(4).memory()) : Optional.empty()),
          List.of(new WeightDecayRange(new FlatRange(0, n), 0.1)),
          update,
          rate,
          scale);
    }
    for (int i = 0; i < 5; i++) {
      assertSameBits(host.get(i), device.get(i), i == 4 ? BF16 : F32, "array " + i);
    }
  }

  private static List<DeviceMemory> shard(float[][] start, boolean aligned) {
    return List.of(
        DeviceMemory.of(F32, aligned, start[0]),
        DeviceMemory.of(F32, aligned, start[1]),
        DeviceMemory.of(F32, aligned, start[2]),
        DeviceMemory.of(F32, aligned, start[3]),
        DeviceMemory.of(BF16, aligned, new float[start[0].length]));
  }

  @ParameterizedTest
  @CsvSource({
    "0, true",
    "1, true",
    "31, true",
    "65536, true",
    "65537, true",
    "200003, true",
    "200003, false"
  })
  void sumOfSquaresIsThatOfTheCpuWithTheSameBitsWhereverItLies(int n, boolean aligned) {
    float[] gradient = OffHeap.gaussian(new Random(n), n, 1e-3);
    BigDecimal exact = BigDecimal.ONE;
    for (float g : gradient) {
      exact = exact.add(new BigDecimal(g).pow(2));
    }
    double sum = sumOfSquares(gradient, aligned);
    assertEquals(exact.doubleValue(), sum, 1e-13 * sum);
    double host = GradientNorm.sumOfSquares(POOL, OffHeap.floats(gradient));
    assertEquals(host + 1, sum, 1e-13 * sum);
    assertEquals(sum, sumOfSquares(gradient, !aligned));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 70_001, 99_999, 100_002})
  void oneElementThatIsNotFiniteShows(int position) {
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      float[] gradient = OffHeap.gaussian(new Random(7), 100_003, 1);
      gradient[position] = bad;
      assertFalse(Double.isFinite(sumOfSquares(gradient, true)));
    }
  }

  @Test
  void theLargestFloatsDoNotOverflowTheSum() {
    double sum = sumOfSquares(new float[] {Float.MAX_VALUE, -Float.MAX_VALUE}, true);
    assertEquals(2 * Math.pow(Float.MAX_VALUE, 2), sum);
  }

  /** Added to 1. */
  private static double sumOfSquares(float[] gradient, boolean aligned) {
    DeviceMemory memory = DeviceMemory.of(F32, aligned, gradient);
    long partials = CudaArrayKernels.sumOfSquaresPartials(gradient.length);
    return InEachOrder.run(
            launcher -> {
              DeviceMemory partial = DeviceMemory.empty(ScalarType.FLOAT64, true, partials);
              DeviceMemory total = one();
              new CudaArrayKernels(launcher)
                  .sumOfSquares(
                      memory.address(), gradient.length, partial.address(), total.address());
              partial.checkGuards();
              return List.of(total);
            })
        .getFirst()
        .float64s()[0];
  }

  private static DeviceMemory one() {
    DeviceMemory total = DeviceMemory.empty(ScalarType.FLOAT64, true, 1);
    total.memory().copyFrom(MemorySegment.ofArray(new double[] {1}));
    return total;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 33, 1024, 5003})
  void sumsAreAddedToWhatIsThere(int n) {
    double[] values = new Random(n).doubles(n).toArray();
    DeviceMemory memory = DeviceMemory.empty(ScalarType.FLOAT64, true, n);
    memory.memory().copyFrom(MemorySegment.ofArray(values));
    double expected = 1;
    for (double value : values) {
      expected += value;
    }
    double sum =
        InEachOrder.run(
                launcher -> {
                  DeviceMemory total = one();
                  new CudaArrayKernels(launcher).sum(memory.address(), n, total.address());
                  return List.of(total);
                })
            .getFirst()
            .float64s()[0];
    assertEquals(expected, sum, 1e-13 * expected);
  }

  @ParameterizedTest
  @CsvSource({"0, true", "1, true", "31, true", "2048, true", "70003, true", "70003, false"})
  void addsAndConvertsAsTheCpu(int n, boolean aligned) {
    Random random = new Random(n);
    float[] a = OffHeap.gaussian(random, n, 1);
    float[] b = OffHeap.gaussian(random, n, 1);
    if (n > 31) {
      float[] special = {
        Float.NaN,
        Float.POSITIVE_INFINITY,
        Float.NEGATIVE_INFINITY,
        Float.MAX_VALUE,
        -0f,
        Float.MIN_VALUE,
        1 + 0x1p-8f,
        1 + 0x1.8p-7f,
        -1 - 0x1p-8f,
        1 + 0x1.0002p-8f,
        Float.intBitsToFloat(0x7fffffff),
        Float.intBitsToFloat(0xffffffff)
      };
      System.arraycopy(special, 0, b, 20, special.length);
    }
    DeviceMemory floats = DeviceMemory.of(F32, aligned, b);
    DeviceMemory halves = DeviceMemory.of(BF16, aligned, b);
    List<DeviceMemory> results =
        InEachOrder.run(
            launcher -> {
              CudaArrayKernels kernels = new CudaArrayKernels(launcher);
              DeviceMemory sum = DeviceMemory.of(F32, aligned, a);
              DeviceMemory sumOfHalves = DeviceMemory.of(F32, aligned, a);
              DeviceMemory wide = DeviceMemory.empty(F32, aligned, n);
              DeviceMemory narrow = DeviceMemory.empty(BF16, aligned, n);
              kernels.add(sum.address(), floats.address(), F32, n);
              kernels.add(sumOfHalves.address(), halves.address(), BF16, n);
              kernels.widen(wide.address(), halves.address(), n);
              kernels.narrow(narrow.address(), floats.address(), n);
              return List.of(sum, sumOfHalves, wide, narrow);
            });
    List<DeviceMemory> host =
        List.of(
            DeviceMemory.of(F32, true, a),
            DeviceMemory.of(F32, true, a),
            DeviceMemory.empty(F32, true, n),
            DeviceMemory.empty(BF16, true, n));
    Accumulation.add(POOL, host.get(0).memory(), floats.memory());
    Accumulation.addBfloat16(POOL, host.get(1).memory(), halves.memory());
    Accumulation.widen(POOL, host.get(2).memory(), halves.memory());
    Accumulation.narrow(POOL, host.get(3).memory(), floats.memory());
    for (int i = 0; i < 4; i++) {
      assertSameBits(host.get(i), results.get(i), i == 3 ? BF16 : F32, "result " + i);
    }
  }

  /** All bits but those of a NaN, of which there are many. */
  private static void assertSameBits(
      DeviceMemory expected, DeviceMemory actual, ScalarType type, String what) {
    float[] these = expected.values(type);
    float[] those = actual.values(type);
    for (int i = 0; i < these.length; i++) {
      assertEquals(
          Float.floatToIntBits(these[i]),
          Float.floatToIntBits(those[i]),
          what + ", element " + i + ": " + these[i] + " and " + those[i]);
    }
  }
}
