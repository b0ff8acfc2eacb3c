package org.pretrain4j.trainer.fused;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.ModelConfig;

/** Attention in tiles, against attention and its derivative in float64, score by score. */
final class TiledAttentionTest {
  private static final long SEED = 17;
  private static final int[] LENGTHS = {1, 130, 3, 700, 256, 37};

  @ParameterizedTest
  @CsvSource({
    "FLOAT32, 4, 2, 8, false, 1e-5",
    "FLOAT32, 3, 3, 20, false, 1e-5",
    "BFLOAT16, 4, 1, 16, false, 2e-2",
    "BFLOAT16, 2, 2, 64, false, 2e-2",
    "BFLOAT16, 4, 2, 32, true, 2e-2",
    "BFLOAT16, 2, 2, 64, true, 2e-2",
    "BFLOAT16, 2, 1, 96, true, 2e-2"
  })
  void gradientsOfAllDocumentsAgreeWithFloat64(
      ScalarType type, int heads, int keyValueHeads, int headDim, boolean tiles, double bound) {
    System.out.println("seed " + SEED);
    Optional<MklGemm> gemm = MklGemm.of(type);
    assumeTrue(gemm.isPresent(), "this libtorch or processor has no such products");
    ModelConfig config = config(heads, keyValueHeads, headDim);
    int tokens = Arrays.stream(LENGTHS).sum();
    int width = (heads + 2 * keyValueHeads) * headDim;
    Random random = new Random(SEED);
    double[] qkv = random(random, tokens * width, type);
    double[] outputGradient = random(random, tokens * heads * headDim, type);
    double[] output = new double[outputGradient.length];
    double[] expected = new double[qkv.length];
    try (NDManager manager = NDManager.newBaseManager("PyTorch");
        WorkerPool pool = new WorkerPool(2);
        Arena arena = Arena.ofShared()) {
      List<TiledAttention.Document> documents = new ArrayList<>();
      int start = 0;
      for (int length : LENGTHS) {
        MemorySegment sums = arena.allocate(ValueLayout.JAVA_FLOAT, (long) heads * length);
        for (int head = 0; head < heads; head++) {
          Head one = new Head(head, heads, keyValueHeads, headDim, start, length);
          one.reference(qkv, outputGradient, output, expected, sums);
        }
        documents.add(new TiledAttention.Document(start, start + length, sums));
        start += length;
      }
      Matrix result = Activation.allocate(manager, type, tokens, width).matrix();
      Optional<TileGemm> kernel = tiles ? TileGemm.find() : Optional.empty();
      assumeTrue(kernel.isPresent() == tiles, "this libtorch or processor has no such kernel");
      AttentionGradient attention =
          tiles
              ? new TiledAttentionGradient(kernel.get(), manager, config, 1024, pool)
              : new MklAttentionGradient(manager, config, type, gemm.get(), pool);
      attention.run(
          documents,
          matrix(manager, type, qkv, width),
          matrix(manager, type, output, heads * headDim),
          matrix(manager, type, outputGradient, heads * headDim),
          result);
      assertClose(expected, result, bound);
    }
  }

  /**
   * @param spread a power of two, which keeps the queries exact; large ones make some scores stand
   *     out, and the largest so far rise from tile to tile
   */
  @ParameterizedTest
  @CsvSource({"4, 1, 32, 1", "2, 2, 64, 1", "2, 1, 96, 1", "3, 3, 128, 1", "2, 1, 64, 8"})
  void attentionOfAllDocumentsAgreesWithFloat64(
      int heads, int keyValueHeads, int headDim, double spread) {
    System.out.println("seed " + SEED);
    Optional<TileGemm> kernel = TileGemm.find();
    assumeTrue(kernel.isPresent(), "this libtorch or processor has no such kernel");
    ModelConfig config = config(heads, keyValueHeads, headDim);
    int tokens = Arrays.stream(LENGTHS).sum();
    int width = (heads + 2 * keyValueHeads) * headDim;
    double[] qkv = random(new Random(SEED), tokens * width, ScalarType.BFLOAT16);
    for (int i = 0; i < qkv.length; i++) {
      if (i % width < heads * headDim) {
        qkv[i] *= spread;
      }
    }
    double[] output = new double[tokens * heads * headDim];
    try (NDManager manager = NDManager.newBaseManager("PyTorch");
        WorkerPool pool = new WorkerPool(2);
        Arena arena = Arena.ofShared()) {
      List<TiledAttention.Document> expected = new ArrayList<>();
      List<TiledAttention.Document> actual = new ArrayList<>();
      int start = 0;
      for (int length : LENGTHS) {
        long sums = (long) heads * length;
        TiledAttention.Document document =
            new TiledAttention.Document(
                start, start + length, arena.allocate(ValueLayout.JAVA_FLOAT, sums));
        for (int head = 0; head < heads; head++) {
          Head one = new Head(head, heads, keyValueHeads, headDim, start, length);
          one.reference(
              qkv, new double[output.length], output, new double[qkv.length], document.logSumExp());
        }
        expected.add(document);
        actual.add(
            new TiledAttention.Document(
                start, start + length, arena.allocate(ValueLayout.JAVA_FLOAT, sums)));
        start += length;
      }
      Matrix result =
          Activation.allocate(manager, ScalarType.BFLOAT16, tokens, heads * headDim).matrix();
      new TiledAttention(kernel.get(), manager, config, 1024, pool)
          .run(actual, matrix(manager, ScalarType.BFLOAT16, qkv, width), result);
      // Probabilities and outputs are rounded to eight bits each: 2^-9 at most, less on average.
      assertClose(output, result, 3e-3);
      for (int i = 0; i < expected.size(); i++) {
        float[] wanted = expected.get(i).logSumExp().toArray(ValueLayout.JAVA_FLOAT);
        assertArrayEquals(wanted, actual.get(i).logSumExp().toArray(ValueLayout.JAVA_FLOAT), 2e-5f);
      }
    }
  }

  private static ModelConfig config(int heads, int keyValueHeads, int headDim) {
    return new ModelConfig(
        8, heads * headDim, 8, 1, heads, keyValueHeads, headDim, 1e4, 0, 1e-6, 0.02, 1024, true);
  }

  /** One query head of one document, in float64. */
  private record Head(int head, int heads, int keyValueHeads, int headDim, int start, int length) {

    void reference(
        double[] qkv, double[] dOut, double[] out, double[] dQkv, MemorySegment logSumExp) {
      int width = (heads + 2 * keyValueHeads) * headDim;
      int keyValueHead = head / (heads / keyValueHeads);
      int k = (heads + keyValueHead) * headDim;
      int v = k + keyValueHeads * headDim;
      double scale = 1 / Math.sqrt(headDim);
      for (int i = 0; i < length; i++) {
        int query = (start + i) * width + head * headDim;
        int o = (start + i) * heads * headDim + head * headDim;
        double[] p = new double[i + 1];
        double sum = 0;
        for (int j = 0; j <= i; j++) {
          p[j] = Math.exp(scale * dot(qkv, query, qkv, (start + j) * width + k));
          sum += p[j];
        }
        logSumExp.setAtIndex(
            ValueLayout.JAVA_FLOAT, (long) head * length + i, (float) Math.log(sum));
        double mean = 0;
        double[] d = new double[i + 1];
        for (int j = 0; j <= i; j++) {
          p[j] /= sum;
          int value = (start + j) * width + v;
          for (int c = 0; c < headDim; c++) {
            out[o + c] += p[j] * qkv[value + c];
          }
          d[j] = dot(dOut, o, qkv, value);
          mean += p[j] * d[j];
        }
        for (int j = 0; j <= i; j++) {
          double ds = scale * p[j] * (d[j] - mean);
          int key = (start + j) * width + k;
          for (int c = 0; c < headDim; c++) {
            dQkv[query + c] += ds * qkv[key + c];
            dQkv[key + c] += ds * qkv[query + c];
            dQkv[(start + j) * width + v + c] += p[j] * dOut[o + c];
          }
        }
      }
    }

    private double dot(double[] a, int from, double[] b, int other) {
      double sum = 0;
      for (int c = 0; c < headDim; c++) {
        sum += a[from + c] * b[other + c];
      }
      return sum;
    }
  }

  /** Values that the type represents exactly. */
  private static double[] random(Random random, int count, ScalarType type) {
    double[] values = new double[count];
    for (int i = 0; i < count; i++) {
      int bits = Float.floatToRawIntBits((float) random.nextGaussian());
      values[i] = Float.intBitsToFloat(type == ScalarType.BFLOAT16 ? bits & 0xffff0000 : bits);
    }
    return values;
  }

  private static Matrix matrix(NDManager manager, ScalarType type, double[] values, int columns) {
    Matrix matrix = Activation.allocate(manager, type, values.length / columns, columns).matrix();
    for (int i = 0; i < values.length; i++) {
      if (matrix.bfloat16()) {
        int bits = Float.floatToRawIntBits((float) values[i]);
        short half = (short) ((bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
        matrix.memory().setAtIndex(ValueLayout.JAVA_SHORT, i, half);
      } else {
        matrix.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) values[i]);
      }
    }
    return matrix;
  }

  /** Relative error in the L2 norm. */
  private static void assertClose(double[] expected, Matrix actual, double bound) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      double got =
          actual.bfloat16()
              ? Float.intBitsToFloat(actual.memory().getAtIndex(ValueLayout.JAVA_SHORT, i) << 16)
              : actual.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i);
      error += (expected[i] - got) * (expected[i] - got);
      norm += expected[i] * expected[i];
    }
    double relative = Math.sqrt(error / norm);
    assertTrue(relative < bound, "off by " + relative + " relative");
  }
}
