package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.trainer.kernels.CrossEntropy;
import org.pretrain4j.trainer.kernels.Embedding;
import org.pretrain4j.trainer.kernels.Gradients;
import org.pretrain4j.trainer.kernels.OffHeap;
import org.pretrain4j.trainer.kernels.RmsNorm;
import org.pretrain4j.trainer.kernels.RotaryEmbedding;
import org.pretrain4j.trainer.kernels.SwiGlu;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;

/** The model's kernels against those of the CPU and against formulas in float64. */
class CudaKernelsTest {
  private static final double EPSILON = 1e-3;
  private static final ScalarType F32 = ScalarType.FLOAT32;
  private static final WorkerPool POOL = new WorkerPool(1);

  @AfterAll
  static void close() {
    POOL.close();
  }

  // Columns that are no multiple of a pack, addresses that are not aligned, several rows to a block
  // and several turns of a block, rows longer than a block's threads keep.
  @ParameterizedTest
  @CsvSource({
    "1, 8, BFLOAT16, true", "9, 576, BFLOAT16, true", "3, 5, BFLOAT16, true",
    "7, 64, BFLOAT16, false", "560, 1032, BFLOAT16, true", "4300, 8, BFLOAT16, true",
    "3, 4104, BFLOAT16, true", "2, 8192, BFLOAT16, true", "5, 601, BFLOAT16, true",
    "1, 4, FLOAT32, true", "9, 68, FLOAT32, true", "33, 67, FLOAT32, true",
    "7, 64, FLOAT32, false", "3, 2052, FLOAT32, true", "2, 1025, FLOAT32, false"
  })
  void rmsNorm(int rows, int hidden, ScalarType type, boolean aligned) {
    Random random = random(rows, hidden);
    float[] values = OffHeap.gaussian(random, rows * hidden, 2);
    DeviceMemory x = DeviceMemory.of(type, aligned, values);
    DeviceMemory w = DeviceMemory.of(type, aligned, OffHeap.gaussian(random, hidden, 1));
    DeviceMemory before = DeviceMemory.of(F32, true, OffHeap.gaussian(random, hidden, 1));
    DeviceMemory past = DeviceMemory.of(type, aligned, OffHeap.gaussian(random, rows * hidden, 1));
    List<DeviceMemory> forward =
        InEachOrder.run(
            launcher -> {
              DeviceMemory y = DeviceMemory.empty(type, aligned, (long) rows * hidden);
              DeviceMemory rstd = DeviceMemory.empty(F32, true, rows);
              new CudaKernels(launcher)
                  .rmsNorm(
                      x.matrix(rows, hidden, type),
                      w.matrix(1, hidden, type),
                      y.matrix(rows, hidden, type),
                      rstd.address(),
                      EPSILON);
              return List.of(y, rstd);
            });
    DeviceMemory rstd = forward.get(1);
    checkForward(x, w, forward.get(0), rstd, rows, hidden, type);
    RmsNorm host = new RmsNorm(POOL, hidden, EPSILON);
    DeviceMemory hostY = DeviceMemory.empty(type, true, (long) rows * hidden);
    DeviceMemory hostRstd = DeviceMemory.empty(F32, true, rows);
    host.forward(
        x.onHost(rows, hidden, type),
        w.onHost(1, hidden, type),
        hostY.onHost(rows, hidden, type),
        hostRstd.memory());
    close(hostRstd.values(F32), rstd.values(F32), 1e-6, "rstd");
    close(hostY.values(type), forward.get(0).values(type), tolerance(type), "y");

    for (ScalarType dyType : type == F32 ? List.of(F32) : List.of(type, F32)) {
      DeviceMemory dy =
          DeviceMemory.of(dyType, aligned, OffHeap.gaussian(random, rows * hidden, 1));
      for (boolean withPast : new boolean[] {false, true}) {
        List<DeviceMemory> backward =
            InEachOrder.run(
                launcher -> {
                  // In place where the types allow it.
                  DeviceMemory dx =
                      withPast
                          ? past.copy()
                          : DeviceMemory.empty(type, aligned, (long) rows * hidden);
                  DeviceMemory partial =
                      DeviceMemory.empty(F32, true, CudaKernels.rmsNormPartialElements(hidden));
                  DeviceMemory dWeight = before.copy();
                  DeviceMatrix dxMatrix = dx.matrix(rows, hidden, type);
                  new CudaKernels(launcher)
                      .rmsNormGradient(
                          dy.matrix(rows, hidden, dyType),
                          withPast ? Optional.of(dxMatrix) : Optional.empty(),
                          x.matrix(rows, hidden, type),
                          w.matrix(1, hidden, type),
                          rstd.address(),
                          dxMatrix,
                          partial.address(),
                          dWeight.address());
                  partial.checkGuards();
                  return List.of(dx, dWeight);
                });
        DeviceMemory dx = DeviceMemory.empty(type, true, (long) rows * hidden);
        DeviceMemory dWeight = before.copy();
        if (withPast) {
          host.addBackward(
              dy.onHost(rows, hidden, dyType),
              past.onHost(rows, hidden, type),
              x.onHost(rows, hidden, type),
              w.onHost(1, hidden, type),
              rstd.memory(),
              dx.onHost(rows, hidden, type),
              dWeight.memory());
        } else {
          host.backward(
              dy.onHost(rows, hidden, dyType),
              x.onHost(rows, hidden, type),
              w.onHost(1, hidden, type),
              rstd.memory(),
              dx.onHost(rows, hidden, type),
              dWeight.memory());
        }
        close(dx.values(type), backward.get(0).values(type), tolerance(type), "dx");
        close(dWeight.values(F32), backward.get(1).values(F32), 1e-5, "dWeight");
        float[] beside = withPast ? past.values(type) : new float[rows * hidden];
        checkBackward(
            dy.values(dyType), beside, x.values(type), w.values(type), backward.get(0), type);
        checkWeightGradient(
            dy.values(dyType), x.values(type), rstd.values(F32), before, backward.get(1), type);
      }
    }
  }

  /** Exactly what the order of roundings gives, with the inverse by float64. */
  private static void checkForward(
      DeviceMemory x,
      DeviceMemory weight,
      DeviceMemory y,
      DeviceMemory rstd,
      int rows,
      int hidden,
      ScalarType type) {
    float[] values = x.values(type);
    float[] w = weight.values(type);
    float[] inverses = rstd.values(F32);
    float[] expected = new float[values.length];
    for (int row = 0; row < rows; row++) {
      double exact = inverse(values, row * hidden, hidden);
      assertEquals(exact, inverses[row], 1e-6 * exact, "rstd of row " + row);
      for (int i = 0; i < hidden; i++) {
        int at = row * hidden + i;
        float normed = cast(values[at] * inverses[row], type);
        expected[at] = cast(normed * w[i], type);
      }
    }
    assertArrayEquals(expected, y.values(type));
  }

  private static void checkBackward(
      float[] dy, float[] past, float[] x, float[] w, DeviceMemory actual, ScalarType type) {
    int hidden = w.length;
    double[] expected = new double[x.length];
    for (int start = 0; start < x.length; start += hidden) {
      double inverse = inverse(x, start, hidden);
      double product = 0;
      for (int i = 0; i < hidden; i++) {
        product += (double) dy[start + i] * w[i] * x[start + i] * inverse;
      }
      for (int i = 0; i < hidden; i++) {
        double normed = x[start + i] * inverse;
        expected[start + i] =
            inverse * ((double) dy[start + i] * w[i] - normed * product / hidden) + past[start + i];
      }
    }
    Gradients.assertClose(expected, wide(actual.values(type)), tolerance(type), "dx");
  }

  private static void checkWeightGradient(
      float[] dy,
      float[] x,
      float[] rstd,
      DeviceMemory before,
      DeviceMemory actual,
      ScalarType type) {
    double[] expected = wide(before.values(F32));
    for (int at = 0; at < x.length; at++) {
      float normed = x[at] * rstd[at / expected.length];
      expected[at % expected.length] += (double) dy[at] * cast(normed, type);
    }
    Gradients.assertClose(expected, wide(actual.values(F32)), 1e-5, "dWeight");
  }

  @Test
  void rmsNormOfRowsThatAThreadDoesNotKeepWhole() {
    int hidden = 16_400;
    DeviceMemory x =
        DeviceMemory.of(
            ScalarType.BFLOAT16, true, OffHeap.gaussian(random(2, hidden), 2 * hidden, 2));
    DeviceMemory w =
        DeviceMemory.of(ScalarType.BFLOAT16, true, OffHeap.gaussian(random(1, hidden), hidden, 1));
    List<DeviceMemory> results =
        InEachOrder.run(
            launcher -> {
              DeviceMemory y = x.copy(); // in place
              DeviceMemory rstd = DeviceMemory.empty(F32, true, 2);
              new CudaKernels(launcher)
                  .rmsNorm(
                      y.matrix(2, hidden, ScalarType.BFLOAT16),
                      w.matrix(1, hidden, ScalarType.BFLOAT16),
                      y.matrix(2, hidden, ScalarType.BFLOAT16),
                      rstd.address(),
                      EPSILON);
              return List.of(y, rstd);
            });
    checkForward(x, w, results.get(0), results.get(1), 2, hidden, ScalarType.BFLOAT16);
    DeviceMatrix wide = x.matrix(2, hidden, ScalarType.BFLOAT16);
    DeviceMatrix weight = w.matrix(1, hidden, ScalarType.BFLOAT16);
    CudaKernels kernels = new CudaKernels(new EmulatedLauncher(EmulatedLauncher.Order.SHUFFLED));
    var thrown =
        assertThrows(
            IllegalArgumentException.class,
            () -> kernels.rmsNormGradient(wide, Optional.empty(), wide, weight, 0, wide, 0, 0));
    assertTrue(thrown.getMessage().contains("at most 8192"), thrown.getMessage());
  }

  /** A row's NaN or infinity stays in its row. */
  @Test
  void rmsNormOfWhatIsNotFinite() {
    int hidden = 40;
    float[] values = OffHeap.gaussian(random(3, hidden), 3 * hidden, 1);
    values[3] = Float.NaN;
    values[2 * hidden + 39] = Float.POSITIVE_INFINITY;
    DeviceMemory x = DeviceMemory.of(F32, true, values);
    DeviceMemory w = DeviceMemory.of(F32, true, OffHeap.gaussian(random(1, hidden), hidden, 1));
    DeviceMemory y = DeviceMemory.empty(F32, true, 3L * hidden);
    DeviceMemory rstd = DeviceMemory.empty(F32, true, 3);
    new CudaKernels(new EmulatedLauncher(EmulatedLauncher.Order.SHUFFLED))
        .rmsNorm(
            x.matrix(3, hidden, F32),
            w.matrix(1, hidden, F32),
            y.matrix(3, hidden, F32),
            rstd.address(),
            EPSILON);
    DeviceMemory hostY = DeviceMemory.empty(F32, true, 3L * hidden);
    DeviceMemory hostRstd = DeviceMemory.empty(F32, true, 3);
    new RmsNorm(POOL, hidden, EPSILON)
        .forward(
            x.onHost(3, hidden, F32),
            w.onHost(1, hidden, F32),
            hostY.onHost(3, hidden, F32),
            hostRstd.memory());
    assertArrayEquals(hostRstd.values(F32), rstd.values(F32), 1e-6f);
    assertArrayEquals(hostY.values(F32), y.values(F32), 1e-5f);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 8, BFLOAT16, true", "37, 264, BFLOAT16, true", "5, 37, BFLOAT16, true",
    "50, 16, BFLOAT16, false", "37, 12, FLOAT32, true", "5, 37, FLOAT32, true"
  })
  void embedding(int rows, int hidden, ScalarType type, boolean aligned) {
    Random random = random(rows, hidden);
    int vocab = 9; // fewer than most batches have tokens, so that tokens repeat
    int[] tokens = random.ints(rows, 0, vocab).toArray();
    TokenGroups groups = TokenGroups.of(tokens, new int[vocab]);
    DeviceMemory table =
        DeviceMemory.of(type, aligned, OffHeap.gaussian(random, vocab * hidden, 1));
    DeviceMemory d = DeviceMemory.of(type, aligned, OffHeap.gaussian(random, rows * hidden, 1));
    DeviceMemory before = DeviceMemory.of(F32, true, OffHeap.gaussian(random, vocab * hidden, 1));
    DeviceMemory positions = DeviceMemory.of(groups.positions());
    DeviceMemory starts = DeviceMemory.of(groups.starts());
    DeviceMemory ids = DeviceMemory.of(groups.tokens());
    DeviceMemory onDevice = DeviceMemory.of(tokens);
    List<DeviceMemory> results =
        InEachOrder.run(
            launcher -> {
              DeviceMemory output = DeviceMemory.empty(type, aligned, (long) rows * hidden);
              DeviceMemory dTable = before.copy();
              CudaKernels kernels = new CudaKernels(launcher);
              kernels.embedding(
                  table.matrix(vocab, hidden, type),
                  onDevice.address(),
                  output.matrix(rows, hidden, type));
              kernels.embeddingGradient(
                  d.matrix(rows, hidden, type),
                  new TokenGroups.OnDevice(
                      groups.tokens().length, ids.address(), starts.address(), positions.address()),
                  dTable.matrix(vocab, hidden, F32));
              return List.of(output, dTable);
            });
    DeviceMemory output = DeviceMemory.empty(type, true, (long) rows * hidden);
    Embedding.forward(
        POOL, table.onHost(vocab, hidden, type), tokens, output.onHost(rows, hidden, type));
    assertArrayEquals(output.values(type), results.get(0).values(type));
    DeviceMemory dTable = before.copy();
    Embedding.backward(
        POOL, d.onHost(rows, hidden, type), tokens, dTable.onHost(vocab, hidden, F32));
    assertArrayEquals(dTable.values(F32), results.get(1).values(F32));
    double[] expected = wide(before.values(F32));
    float[] addends = d.values(type);
    for (int i = 0; i < addends.length; i++) {
      expected[tokens[i / hidden] * hidden + i % hidden] += addends[i];
    }
    Gradients.assertClose(expected, wide(results.get(1).values(F32)), 1e-5, "dTable");
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 2, 0, BFLOAT16, true", "37, 3, 64, 64, BFLOAT16, true", "20, 5, 16, 8, BFLOAT16, true",
    "20, 3, 6, 5, BFLOAT16, true", "9, 2, 16, 16, BFLOAT16, false", "37, 3, 64, 64, FLOAT32, true",
    "20, 3, 6, 5, FLOAT32, true", "9, 2, 16, 3, FLOAT32, true"
  })
  void rotary(int rows, int heads, int headDim, int rest, ScalarType type, boolean aligned) {
    int sequence = 7; // rows are those of several sequences, the last one cut
    int width = heads * headDim + rest;
    double theta = 10_000;
    Random random = random(rows, width);
    DeviceMemory qkv = DeviceMemory.of(type, aligned, OffHeap.gaussian(random, rows * width, 1));
    int half = headDim / 2;
    float[] cosines = new float[sequence * half];
    float[] sines = new float[sequence * half];
    for (int i = 0; i < cosines.length; i++) {
      double angle = i / half * StrictMath.pow(theta, -2.0 * (i % half) / headDim);
      cosines[i] = (float) StrictMath.cos(angle);
      sines[i] = (float) StrictMath.sin(angle);
    }
    DeviceMemory cosinesOnDevice = DeviceMemory.of(F32, true, cosines);
    DeviceMemory sinesOnDevice = DeviceMemory.of(F32, true, sines);
    RotaryEmbedding host = new RotaryEmbedding(POOL, sequence, headDim, theta);
    for (boolean back : new boolean[] {false, true}) {
      DeviceMemory result =
          InEachOrder.run(
                  launcher -> {
                    DeviceMemory rotated = qkv.copy();
                    new CudaKernels(launcher)
                        .rotary(
                            rotated.matrix(rows, width, type),
                            cosinesOnDevice.address(),
                            sinesOnDevice.address(),
                            sequence,
                            heads,
                            headDim,
                            back);
                    return List.of(rotated);
                  })
              .getFirst();
      DeviceMemory expected = qkv.copy();
      if (back) {
        host.backward(expected.onHost(rows, width, type), heads, sequence);
      } else {
        host.forward(expected.onHost(rows, width, type), heads, sequence);
      }
      assertArrayEquals(expected.values(type), result.values(type));
      double[] turned = wide(qkv.values(type));
      for (int i = 0; i < rows * heads * half; i++) {
        int row = i / (heads * half);
        int at = row * width + i / half % heads * headDim + i % half;
        double angle = row % sequence * Math.pow(theta, -2.0 * (i % half) / headDim);
        double sine = Math.sin(angle) * (back ? -1 : 1);
        double first = turned[at];
        double second = turned[at + half];
        turned[at] = first * Math.cos(angle) - second * sine;
        turned[at + half] = second * Math.cos(angle) + first * sine;
      }
      Gradients.assertClose(turned, wide(result.values(type)), tolerance(type), "rotated");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 8, BFLOAT16, true", "37, 264, BFLOAT16, true", "5, 37, BFLOAT16, true",
    "9, 16, BFLOAT16, false", "37, 12, FLOAT32, true", "5, 37, FLOAT32, true"
  })
  void swiGlu(int rows, int columns, ScalarType type, boolean aligned) {
    Random random = random(rows, columns);
    DeviceMemory gateUp =
        DeviceMemory.of(type, aligned, OffHeap.gaussian(random, 2 * rows * columns, 3));
    DeviceMemory d = DeviceMemory.of(type, aligned, OffHeap.gaussian(random, rows * columns, 1));
    List<DeviceMemory> results =
        InEachOrder.run(
            launcher -> {
              DeviceMemory output = DeviceMemory.empty(type, aligned, (long) rows * columns);
              DeviceMemory gradient = gateUp.copy();
              CudaKernels kernels = new CudaKernels(launcher);
              kernels.swiGlu(
                  gateUp.matrix(rows, 2 * columns, type), output.matrix(rows, columns, type));
              kernels.swiGluGradient(
                  d.matrix(rows, columns, type), gradient.matrix(rows, 2 * columns, type));
              return List.of(output, gradient);
            });
    DeviceMemory output = DeviceMemory.empty(type, true, (long) rows * columns);
    SwiGlu.forward(
        POOL, gateUp.onHost(rows, 2 * columns, type), output.onHost(rows, columns, type));
    DeviceMemory gradient = gateUp.copy();
    SwiGlu.backward(
        POOL,
        d.onHost(rows, columns, type),
        gradient.onHost(rows, 2 * columns, type),
        gradient.onHost(rows, 2 * columns, type));
    close(output.values(type), results.get(0).values(type), tolerance(type), "output");
    close(gradient.values(type), results.get(1).values(type), tolerance(type), "gradient");

    float[] inputs = gateUp.values(type);
    float[] behind = d.values(type);
    double[] expected = new double[rows * columns];
    double[] expectedGradient = new double[2 * rows * columns];
    for (int i = 0; i < expected.length; i++) {
      int at = i / columns * 2 * columns + i % columns;
      double g = inputs[at];
      double up = inputs[at + columns];
      double sigmoid = 1 / (1 + Math.exp(-g));
      expected[i] = g * sigmoid * up;
      expectedGradient[at] = behind[i] * up * sigmoid * (1 + g * (1 - sigmoid));
      expectedGradient[at + columns] = behind[i] * g * sigmoid;
    }
    Gradients.assertClose(expected, wide(results.get(0).values(type)), tolerance(type), "output");
    Gradients.assertClose(
        expectedGradient, wide(results.get(1).values(type)), tolerance(type), "gradient");
  }

  @Test
  void swiGluOfExtremes() {
    float[] gate = {200, -200, 0, Float.NaN, 88, -88, Float.POSITIVE_INFINITY, -0f};
    float[] gateUp = new float[16];
    float[] expected = {200, 0, 0, Float.NaN, 88, 0, Float.POSITIVE_INFINITY, 0};
    for (int i = 0; i < 8; i++) {
      gateUp[i] = gate[i];
      gateUp[8 + i] = 1;
    }
    for (ScalarType type : List.of(F32, ScalarType.BFLOAT16)) {
      DeviceMemory inputs = DeviceMemory.of(type, true, gateUp);
      DeviceMemory output = DeviceMemory.empty(type, true, 8);
      new CudaKernels(new EmulatedLauncher(EmulatedLauncher.Order.ASCENDING))
          .swiGlu(inputs.matrix(1, 16, type), output.matrix(1, 8, type));
      DeviceMemory host = DeviceMemory.empty(type, true, 8);
      SwiGlu.forward(POOL, inputs.onHost(1, 16, type), host.onHost(1, 8, type));
      assertArrayEquals(expected, output.values(type), 1e-30f);
      assertArrayEquals(host.values(type), output.values(type), 1e-30f);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 8, BFLOAT16, true", "7, 33, BFLOAT16, true", "5, 64, BFLOAT16, false",
    "9, 9008, BFLOAT16, true", "3, 9001, BFLOAT16, true", "2, 49152, BFLOAT16, true",
    "7, 36, FLOAT32, true", "3, 9001, FLOAT32, true", "1, 2, FLOAT32, true"
  })
  void crossEntropy(int rows, int vocab, ScalarType type, boolean aligned) {
    Random random = random(rows, vocab);
    DeviceMemory logits = DeviceMemory.of(type, aligned, OffHeap.gaussian(random, rows * vocab, 3));
    int[] targets = random.ints(rows, 0, vocab).toArray();
    if (rows > 2) {
      targets[0] = 0;
      targets[1] = CrossEntropy.MASKED;
      targets[2] = vocab - 1;
    }
    float scale = 0.25f;
    DeviceMemory targetsOnDevice = DeviceMemory.of(targets);
    List<DeviceMemory> results =
        InEachOrder.run(
            launcher -> {
              DeviceMemory gradient = logits.copy();
              DeviceMemory losses = DeviceMemory.empty(ScalarType.FLOAT64, true, rows);
              new CudaKernels(launcher)
                  .crossEntropy(
                      gradient.matrix(rows, vocab, type),
                      targetsOnDevice.address(),
                      losses.address(),
                      scale);
              return List.of(gradient, losses);
            });
    DeviceMemory host = logits.copy();
    double sum =
        CrossEntropy.forwardBackward(
            POOL, host.onHost(rows, vocab, type), targets, scale, host.onHost(rows, vocab, type));
    float[] inputs = logits.values(type);
    float[] gradient = results.get(0).values(type);
    float[] hostGradient = host.values(type);
    double[] losses = results.get(1).float64s();
    double total = 0;
    for (int row = 0; row < rows; row++) {
      double logSum = logSum(inputs, row * vocab, vocab);
      boolean masked = targets[row] == CrossEntropy.MASKED;
      double loss = masked ? 0 : logSum - inputs[row * vocab + targets[row]];
      assertEquals(loss, losses[row], 1e-6 * loss, "row " + row);
      total += losses[row];
      for (int i = 0; i < vocab; i++) {
        int at = row * vocab + i;
        double probability = Math.exp(inputs[at] - logSum);
        double expected = masked ? 0 : scale * (probability - (i == targets[row] ? 1 : 0));
        double tolerance =
            (type == F32 ? 4e-6 : 1.001 * Math.pow(2, -8)) * Math.abs(expected) + 1e-8;
        assertEquals(expected, gradient[at], tolerance, "row " + row + ", logit " + i);
        assertEquals(hostGradient[at], gradient[at], 2 * tolerance, "row " + row + ", logit " + i);
      }
    }
    assertEquals(sum, total, 1e-6 * sum);
  }

  @Test
  void crossEntropyOfExtremes() {
    float[] large = {3e4f, -3e4f, Float.NEGATIVE_INFINITY, 3e4f};
    assertEquals(Math.log(2), loss(large, 0), 1e-7);
    assertEquals(6e4 + Math.log(2), loss(large, 1), 1e-2);
    assertEquals(Double.POSITIVE_INFINITY, loss(large, 2));
    assertTrue(Double.isNaN(loss(new float[] {0, Float.NaN, 1}, 0)));
    assertTrue(Double.isNaN(loss(new float[] {0, Float.POSITIVE_INFINITY, 1}, 0)));
    float none = Float.NEGATIVE_INFINITY;
    assertTrue(Double.isNaN(loss(new float[] {none, none, none}, 0)));
    for (int target : new int[] {4, -1}) {
      assertTrue(Double.isNaN(loss(large, target)), "a target outside of the vocabulary");
    }
    assertEquals(0, loss(large, CrossEntropy.MASKED));
  }

  private static double loss(float[] logits, int target) {
    DeviceMemory memory = DeviceMemory.of(F32, true, logits);
    DeviceMemory targets = DeviceMemory.of(target);
    DeviceMemory losses = DeviceMemory.empty(ScalarType.FLOAT64, true, 1);
    new CudaKernels(new EmulatedLauncher(EmulatedLauncher.Order.SHUFFLED))
        .crossEntropy(memory.matrix(1, logits.length, F32), targets.address(), losses.address(), 1);
    memory.checkGuards();
    return losses.float64s()[0];
  }

  @Test
  void shapesAndTypesThatDoNotFitAreRefused() {
    CudaKernels kernels = new CudaKernels(new EmulatedLauncher(EmulatedLauncher.Order.SHUFFLED));
    DeviceMatrix x = new DeviceMatrix(64, 2, 8, F32);
    DeviceMatrix narrow = new DeviceMatrix(64, 2, 7, F32);
    DeviceMatrix bfloat16 = new DeviceMatrix(64, 2, 8, ScalarType.BFLOAT16);
    DeviceMatrix weight = new DeviceMatrix(64, 1, 8, F32);
    assertThrows(IllegalArgumentException.class, () -> kernels.rmsNorm(x, x, x, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> kernels.rmsNorm(x, weight, bfloat16, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> kernels.swiGlu(x, narrow));
    assertThrows(IllegalArgumentException.class, () -> kernels.embedding(x, 0, narrow));
    assertThrows(IllegalArgumentException.class, () -> kernels.rotary(x, 0, 0, 4, 2, 6, false));
    assertThrows(IllegalArgumentException.class, () -> new DeviceMatrix(63, 2, 8, F32));
    assertThrows(
        IllegalArgumentException.class, () -> new DeviceMatrix(64, 2, 8, ScalarType.FLOAT64));
    DeviceMatrix none = new DeviceMatrix(64, 0, 8, F32);
    kernels.rmsNorm(none, weight, none, 0, 1); // starts nothing
  }

  private static Random random(int rows, int columns) {
    long seed = rows * 1000L + columns;
    System.out.println("seed " + seed);
    return new Random(seed);
  }

  private static double inverse(float[] values, int start, int count) {
    double squares = 0;
    for (int i = start; i < start + count; i++) {
      squares += (double) values[i] * values[i];
    }
    return 1 / Math.sqrt(squares / count + EPSILON);
  }

  private static double logSum(float[] values, int start, int count) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = start; i < start + count; i++) {
      max = Math.max(max, values[i]);
    }
    double sum = 0;
    for (int i = start; i < start + count; i++) {
      sum += Math.exp(values[i] - max);
    }
    return Math.log(sum) + max;
  }

  private static float cast(float value, ScalarType type) {
    return type == ScalarType.BFLOAT16 ? OffHeap.rounded(value) : value;
  }

  private static double tolerance(ScalarType type) {
    return Gradients.tolerance(type == ScalarType.BFLOAT16);
  }

  private static void close(float[] expected, float[] actual, double relative, String what) {
    Gradients.assertClose(wide(expected), wide(actual), relative, what);
  }

  private static double[] wide(float[] values) {
    double[] result = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      result[i] = values[i];
    }
    return result;
  }
}
