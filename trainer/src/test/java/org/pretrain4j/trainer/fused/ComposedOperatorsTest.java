package org.pretrain4j.trainer.fused;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.cuda.HostMemoryGpu;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.RecordingSink;

/**
 * Every fused operator, forward and backward, against the composed one on random shapes: the host's
 * vector code with and without MKL and products in tiles, and the GPU's kernels in their emulation.
 *
 * <p>Errors are relative in the L2 norm and bounded in units of the type's unit roundoff, 2^-24 or
 * 2^-9. In float32, both sides round each of some ten operations and sums of up to a few hundred
 * addends, which add up like a random walk: a few units, 16 with room. In bfloat16 both compute in
 * float32 and round once, so that a result differs by a last digit only where the float32 ones lie
 * on two sides of a boundary; half a unit is much more than that. Where one side alone rounds what
 * lies between (the softmax before it meets the values, gradients of weights before their sum, at
 * most a unit each), the bound is 2 units; behind attention these are the softmax, its gradient,
 * the output that was kept, and both results: 5.
 */
final class ComposedOperatorsTest {
  private static final long SEED = 61;
  private static final int SHAPES = 24;
  private static final double FLOAT32_UNITS = 16;

  /** Both sides round the same float32 arithmetic once. */
  private static final double ROUNDED_ONCE = 0.5;

  /** One of them rounds on the way, too. */
  private static final double ROUNDED_BETWEEN = 2;

  /** One of them does so several times. */
  private static final double ROUNDED_OFTEN = 5;

  /** A shape, and what computes on it. */
  private record Case(
      NDManager manager,
      Random random,
      ScalarType type,
      ModelConfig config,
      MicroBatch batch,
      FusedOperators fused,
      FusedOperators composed) {

    int tokens() {
      return batch.rows() * batch.sequenceLength();
    }

    Activation values(int rows, int columns, double scale) {
      float[] values = new float[rows * columns];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (scale * random.nextGaussian());
      }
      return Activation.of(Operators.to(Tensor.of(manager, values, rows, columns), type));
    }

    Activation empty(int rows, int columns) {
      return Activation.allocate(manager, type, rows, columns);
    }

    Activation copy(Activation source) {
      Activation copy = empty(source.rows(), source.columns());
      copy.tensor().copyFrom(source.tensor());
      return copy;
    }

    void assertClose(String what, Tensor expected, Tensor actual, double bfloat16Units) {
      assertClose(what, doubles(expected), doubles(actual), bfloat16Units);
    }

    void assertClose(String what, double[] expected, double[] actual, double bfloat16Units) {
      double error = 0;
      double norm = 0;
      for (int i = 0; i < expected.length; i++) {
        error += (expected[i] - actual[i]) * (expected[i] - actual[i]);
        norm += expected[i] * expected[i];
      }
      double relative = Math.sqrt(error) / Math.max(Math.sqrt(norm), Float.MIN_NORMAL);
      double bound = type == ScalarType.FLOAT32 ? FLOAT32_UNITS * 0x1p-24 : bfloat16Units * 0x1p-9;
      assertEquals(expected.length, actual.length, what);
      assertTrue(
          relative <= bound,
          () ->
              "%s is off by %.3g relative, at most %.3g; %s, %d rows of %d, documents from %s"
                  .formatted(
                      what,
                      relative,
                      bound,
                      config,
                      batch.rows(),
                      batch.sequenceLength(),
                      batch.documentStarts().stream().map(java.util.Arrays::toString).toList()));
    }

    private static double[] doubles(Tensor tensor) {
      float[] floats =
          Operators.contiguous(Operators.to(tensor, ScalarType.FLOAT32))
              .segment()
              .toArray(ValueLayout.JAVA_FLOAT);
      double[] doubles = new double[floats.length];
      for (int i = 0; i < floats.length; i++) {
        doubles[i] = floats[i];
      }
      return doubles;
    }
  }

  @FunctionalInterface
  private interface Check {
    void run(Case drawn);
  }

  private static void onRandomShapes(String kind, ScalarType type, Check check) {
    System.out.println("seed " + SEED);
    Random random = new Random(SEED);
    for (int shape = 0; shape < SHAPES; shape++) {
      long live = Tensor.live();
      int keyValueHeads = 1 + random.nextInt(3);
      int vocabulary = 2 + random.nextInt(300);
      int length = 2 + random.nextInt(70);
      ModelConfig config =
          new ModelConfig(
              vocabulary,
              // In rows of one or two elements, little is left of a norm's gradient but rounding.
              3 + random.nextInt(150),
              1 + random.nextInt(200),
              1,
              keyValueHeads * (1 + random.nextInt(4)),
              keyValueHeads,
              // Heads that fit the tiles, and others.
              random.nextBoolean() ? 32 * (1 + random.nextInt(3)) : 2 * (1 + random.nextInt(20)),
              10_000,
              4,
              1e-6,
              0.02,
              128,
              true);
      // Some chains in one piece, some in pieces of a few rows.
      int chunk = random.nextBoolean() ? 1 << 22 : 1 + random.nextInt(2000);
      HostMemoryGpu gpu = new HostMemoryGpu();
      try (NDManager manager = Managers.host();
          WorkerPool pool = new WorkerPool(1);
          FusedOperators fused = fused(kind, manager, config, type, pool, gpu);
          FusedOperators composed = new ComposedOperators(manager, config, type, 128, chunk)) {
        MicroBatch batch =
            CudaOperatorsTest.packed(random, vocabulary, 1 + random.nextInt(3), length);
        fused.begin(batch);
        composed.begin(batch);
        check.run(new Case(manager, random, type, config, batch, fused, composed));
      }
      assertEquals(live, Tensor.live(), "tensors that are left");
    }
  }

  private static FusedOperators fused(
      String kind,
      NDManager manager,
      ModelConfig config,
      ScalarType type,
      WorkerPool pool,
      HostMemoryGpu gpu) {
    return switch (kind) {
      case "host" -> host(manager, config, type, pool, MklGemm.of(type), TileGemm.find());
      case "host without tiles" ->
          host(manager, config, type, pool, MklGemm.of(type), Optional.empty());
      case "host without MKL" ->
          host(manager, config, type, pool, Optional.empty(), Optional.empty());
      default -> CudaOperatorsTest.operators(manager, config, type, gpu, 128);
    };
  }

  private static FusedOperators host(
      NDManager manager,
      ModelConfig config,
      ScalarType type,
      WorkerPool pool,
      Optional<MklGemm> gemm,
      Optional<TileGemm> tiles) {
    return new HostOperators(manager, config, type, 128, pool, gemm, tiles);
  }

  @ParameterizedTest
  @CsvSource({"host, FLOAT32", "host, BFLOAT16", "GPU, FLOAT32", "GPU, BFLOAT16"})
  void embedding(String kind, ScalarType type) {
    onRandomShapes(
        kind,
        type,
        c -> {
          int hidden = c.config().hiddenSize();
          Activation table = c.values(c.config().vocabSize(), hidden, 1);
          Activation expected = c.empty(c.tokens(), hidden);
          Activation actual = c.empty(c.tokens(), hidden);
          c.composed().embed(table, expected);
          c.fused().embed(table, actual);
          c.assertClose("output", expected.tensor(), actual.tensor(), 0);

          Activation gradient = c.values(c.tokens(), hidden, 1);
          long[] shape = {c.config().vocabSize(), hidden};
          Tensor expectedSum = Tensor.zeros(c.manager(), ScalarType.FLOAT32, shape);
          Tensor actualSum = Tensor.zeros(c.manager(), ScalarType.FLOAT32, shape);
          for (int time = 0; time < 2; time++) {
            c.composed().embedBackward(gradient, expectedSum);
            c.fused().embedBackward(gradient, actualSum);
          }
          c.assertClose("gradient of the table", expectedSum, actualSum, 0x1p-9);
        });
  }

  @ParameterizedTest
  @CsvSource({"host, FLOAT32", "host, BFLOAT16", "GPU, FLOAT32", "GPU, BFLOAT16"})
  void norm(String kind, ScalarType type) {
    onRandomShapes(
        kind,
        type,
        c -> {
          int hidden = c.config().hiddenSize();
          Activation x = c.values(c.tokens(), hidden, 3);
          Activation weight = c.values(1, hidden, 1);
          Activation expected = c.empty(c.tokens(), hidden);
          Activation actual = c.empty(c.tokens(), hidden);
          Tensor expectedScale = Tensor.empty(c.manager(), ScalarType.FLOAT32, c.tokens());
          Tensor actualScale = Tensor.empty(c.manager(), ScalarType.FLOAT32, c.tokens());
          c.composed().norm(x, weight, expected, expectedScale);
          c.fused().norm(x, weight, actual, actualScale);
          c.assertClose("output", expected.tensor(), actual.tensor(), ROUNDED_ONCE);
          c.assertClose("scale", expectedScale, actualScale, 0x1p-9);

          Activation dy = c.values(c.tokens(), hidden, 1);
          Activation beside = c.random().nextBoolean() ? c.values(c.tokens(), hidden, 1) : null;
          // The sum may be written where the gradient beside the norm was.
          Activation expectedDx = beside == null ? expected : c.copy(beside);
          Activation actualDx = beside == null ? actual : c.copy(beside);
          Tensor expectedWeight = Tensor.zeros(c.manager(), ScalarType.FLOAT32, hidden);
          Tensor actualWeight = Tensor.zeros(c.manager(), ScalarType.FLOAT32, hidden);
          c.composed()
              .normBackward(
                  dy,
                  beside == null ? null : expectedDx,
                  x,
                  weight,
                  expectedScale,
                  expectedDx,
                  expectedWeight);
          c.fused()
              .normBackward(
                  dy,
                  beside == null ? null : actualDx,
                  x,
                  weight,
                  actualScale,
                  actualDx,
                  actualWeight);
          c.assertClose("gradient of x", expectedDx.tensor(), actualDx.tensor(), ROUNDED_ONCE);
          c.assertClose("gradient of the weight", expectedWeight, actualWeight, ROUNDED_ONCE);
        });
  }

  @ParameterizedTest
  @CsvSource({"host, FLOAT32", "host, BFLOAT16", "GPU, FLOAT32", "GPU, BFLOAT16"})
  void rotary(String kind, ScalarType type) {
    onRandomShapes(
        kind,
        type,
        c -> {
          int heads = c.config().numAttentionHeads() + c.config().numKeyValueHeads();
          int width = (heads + c.config().numKeyValueHeads()) * c.config().headDim();
          int length = c.batch().sequenceLength();
          Activation expected = c.values(c.tokens(), width, 1);
          Activation before = c.copy(expected);
          Activation actual = c.copy(expected);
          c.composed().rotate(expected, heads, length);
          c.fused().rotate(actual, heads, length);
          c.assertClose("rotated", expected.tensor(), actual.tensor(), ROUNDED_ONCE);
          c.composed().rotateBack(expected, heads, length);
          c.fused().rotateBack(actual, heads, length);
          c.assertClose("rotated back", expected.tensor(), actual.tensor(), ROUNDED_ONCE);
          c.assertClose("as before", before.tensor(), expected.tensor(), ROUNDED_BETWEEN);
        });
  }

  @ParameterizedTest
  @CsvSource({"host, FLOAT32", "host, BFLOAT16", "GPU, FLOAT32", "GPU, BFLOAT16"})
  void swiGlu(String kind, ScalarType type) {
    onRandomShapes(
        kind,
        type,
        c -> {
          int intermediate = c.config().intermediateSize();
          Activation gateUp = c.values(c.tokens(), 2 * intermediate, 3);
          Activation expected = c.empty(c.tokens(), intermediate);
          Activation actual = c.empty(c.tokens(), intermediate);
          c.composed().swiGlu(gateUp, expected);
          c.fused().swiGlu(gateUp, actual);
          c.assertClose("output", expected.tensor(), actual.tensor(), ROUNDED_ONCE);

          Activation gradient = c.values(c.tokens(), intermediate, 1);
          Activation other = c.copy(gateUp);
          c.composed().swiGluBackward(gradient, gateUp);
          c.fused().swiGluBackward(gradient, other);
          c.assertClose("gradient", gateUp.tensor(), other.tensor(), ROUNDED_ONCE);
        });
  }

  @ParameterizedTest
  @CsvSource({"host, FLOAT32", "host, BFLOAT16", "GPU, FLOAT32", "GPU, BFLOAT16"})
  void crossEntropy(String kind, ScalarType type) {
    onRandomShapes(
        kind,
        type,
        c -> {
          int chunk = 1 + c.random().nextInt(c.tokens());
          double expectedLoss = 0;
          double actualLoss = 0;
          for (int start = 0; start < c.tokens(); start += chunk) {
            int rows = Math.min(chunk, c.tokens() - start);
            Activation expected = c.values(rows, c.config().vocabSize(), 3);
            Activation actual = c.copy(expected);
            c.composed().crossEntropy(expected, start);
            c.fused().crossEntropy(actual, start);
            c.assertClose("gradient", expected.tensor(), actual.tensor(), ROUNDED_ONCE);
            if (c.random().nextBoolean()) {
              expectedLoss += c.composed().takeLoss();
              actualLoss += c.fused().takeLoss();
            }
          }
          expectedLoss += c.composed().takeLoss();
          actualLoss += c.fused().takeLoss();
          assertEquals(expectedLoss, actualLoss, 16 * 0x1p-24 * (1 + expectedLoss), "loss");
          assertEquals(0, c.composed().takeLoss(), "taken already");
        });
  }

  @ParameterizedTest
  @CsvSource({
    "host, FLOAT32",
    "host, BFLOAT16",
    "host without tiles, BFLOAT16",
    "host without MKL, FLOAT32",
    "host without MKL, BFLOAT16"
  })
  void attention(String kind, ScalarType type) {
    onRandomShapes(
        kind,
        type,
        c -> {
          LayerState expected = new LayerState(c.manager(), c.config(), type, c.tokens());
          LayerState actual = new LayerState(c.manager(), c.config(), type, c.tokens());
          int width = expected.qkv.columns();
          Activation qkv = c.values(c.tokens(), width, 1.5);
          expected.qkv.tensor().copyFrom(qkv.tensor());
          actual.qkv.tensor().copyFrom(qkv.tensor());
          c.composed().attention().forward(c.manager(), c.batch(), expected);
          c.fused().attention().forward(c.manager(), c.batch(), actual);
          c.assertClose(
              "output", expected.attended.tensor(), actual.attended.tensor(), ROUNDED_BETWEEN);

          Activation gradient = c.values(c.tokens(), expected.attended.columns(), 1);
          Activation expectedGradient = c.empty(c.tokens(), width);
          Activation actualGradient = c.empty(c.tokens(), width);
          c.composed()
              .attention()
              .backward(c.manager(), c.batch(), expected, gradient, expectedGradient);
          c.fused().attention().backward(c.manager(), c.batch(), actual, gradient, actualGradient);
          c.assertClose(
              "gradient", expectedGradient.tensor(), actualGradient.tensor(), ROUNDED_OFTEN);
          c.assertClose("queries, keys, values", qkv.tensor(), expected.qkv.tensor(), 0);
        });
  }

  @ParameterizedTest
  @CsvSource({
    "host, FLOAT32",
    "host, BFLOAT16",
    "host without tiles, BFLOAT16",
    "GPU, FLOAT32",
    "GPU, BFLOAT16"
  })
  void products(String kind, ScalarType type) {
    onRandomShapes(
        kind,
        type,
        c -> {
          int in = c.config().hiddenSize();
          int first = c.config().intermediateSize();
          int second = 1 + c.random().nextInt(50);
          Weight weight =
              new Weight(
                  List.of(
                      new FlatLayout.Entry("first", List.of((long) first, (long) in), 0),
                      new FlatLayout.Entry(
                          "second", List.of((long) second, (long) in), (long) first * in)),
                  c.values(first + second, in, 1));
          Activation x = c.values(c.tokens(), in, 1);
          Activation gradient = c.values(c.tokens(), first + second, 1);
          RecordingSink expected = new RecordingSink(c.manager());
          RecordingSink actual = new RecordingSink(c.manager());
          c.composed().products().ofWeight(weight, gradient, x, expected);
          c.fused().products().ofWeight(weight, gradient, x, actual);
          Map<String, double[]> gradients = actual.gradients();
          assertEquals(expected.gradients().keySet(), gradients.keySet());
          expected
              .gradients()
              .forEach(
                  (name, wanted) ->
                      c.assertClose(name, wanted, gradients.get(name), ROUNDED_BETWEEN));

          GradientProducts composed = c.composed().products();
          GradientProducts fused = c.fused().products();
          int out = first + second;
          Activation stream = c.values(c.tokens(), out, 1);
          both(c, "y", out, (p, y) -> p.forward(weight, x, y));
          both(c, "stream + y", out, (p, y) -> p.addForward(stream, x, weight, y));
          both(c, "rounded", in, (p, dx) -> p.roundedOfInput(weight, gradient, dx));
          Activation wanted = ofInput(c, composed, weight, gradient);
          Activation got = ofInput(c, fused, weight, gradient);
          c.assertClose("gradient of x", wanted.tensor(), got.tensor(), ROUNDED_BETWEEN);
        });
  }

  private static void both(
      Case c, String what, int columns, BiConsumer<GradientProducts, Activation> product) {
    Activation expected = c.empty(c.tokens(), columns);
    Activation actual = c.empty(c.tokens(), columns);
    product.accept(c.composed().products(), expected);
    product.accept(c.fused().products(), actual);
    c.assertClose(what, expected.tensor(), actual.tensor(), ROUNDED_ONCE);
  }

  private static Activation ofInput(
      Case c, GradientProducts products, Weight weight, Activation gradient) {
    Activation result =
        Activation.allocate(
            c.manager(), products.inputGradientType(), c.tokens(), weight.value().columns());
    products.ofInput(weight, gradient, result);
    return result;
  }

  @Test
  void aTokenOutsideOfTheVocabularyIsRefused() {
    ModelConfig config = new ModelConfig(5, 4, 4, 1, 1, 1, 4, 10_000, 4, 1e-6, 0.02, 128, true);
    try (NDManager manager = Managers.host();
        FusedOperators composed = new ComposedOperators(manager, config, ScalarType.FLOAT32, 128)) {
      MicroBatch tooLarge =
          new MicroBatch(new int[][] {{4, 5}}, new int[][] {{1, 2}}, List.of(new int[0]));
      MicroBatch wrongTarget =
          new MicroBatch(new int[][] {{4, 4}}, new int[][] {{1, -1}}, List.of(new int[0]));
      for (MicroBatch wrong : List.of(tooLarge, wrongTarget)) {
        assertThrows(IllegalArgumentException.class, () -> composed.begin(wrong));
      }
    }
  }
}
