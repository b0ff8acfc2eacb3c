package org.pretrain4j.trainer.fused;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.cuda.EmulatedLauncher;
import org.pretrain4j.trainer.cuda.HostMemoryGpu;
import org.pretrain4j.trainer.device.CudaTimeline;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.FlatStorage;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.RecordingSink;

/**
 * The whole pass with the GPU's kernels, launches and staging, against the pass with the host's
 * vector code: kernels in their emulation, GPU memory in the host's, attention the host's own.
 */
final class CudaOperatorsTest {
  private static final long SEED = 41;
  private static final int PASSES = 2;

  @ParameterizedTest
  @CsvSource({
    "37, 32, 48, 3, 4, 2, 8, true, FLOAT32, NONE, 1e-5",
    "50, 24, 40, 2, 3, 3, 6, false, FLOAT32, FULL, 1e-5",
    "64, 64, 96, 4, 4, 1, 16, true, BFLOAT16, SELECTED, 3e-2",
    "41, 40, 56, 2, 2, 1, 12, false, BFLOAT16, NONE, 3e-2"
  })
  void lossAndGradientsAreThoseOfTheHost(
      int vocabulary,
      int hidden,
      int ffn,
      int layers,
      int heads,
      int keyValueHeads,
      int headDim,
      boolean tied,
      ScalarType type,
      ActivationCheckpointing checkpointing,
      double bound) {
    System.out.println("seed " + SEED);
    Random random = new Random(SEED);
    ModelConfig config =
        new ModelConfig(
            vocabulary,
            hidden,
            ffn,
            layers,
            heads,
            keyValueHeads,
            headDim,
            10_000,
            4,
            1e-6,
            0.02,
            64,
            tied);
    List<MicroBatch> batches = new ArrayList<>();
    for (int pass = 0; pass < PASSES; pass++) {
      batches.add(packed(random, vocabulary, 2 + pass, 21));
    }
    long tensors = Tensor.live();
    HostMemoryGpu gpu = new HostMemoryGpu();
    try (NDManager manager = Managers.host();
        WorkerPool pool = new WorkerPool(1)) {
      FlatStorage storage = storage(manager, config, random, type);
      RecordingSink expected = new RecordingSink(manager);
      RecordingSink actual = new RecordingSink(manager);
      try (FusedPass host =
              new FusedPass(
                  manager,
                  config,
                  storage,
                  ActivationCheckpointing.NONE,
                  type,
                  64,
                  pool,
                  Optional.empty(),
                  Optional.empty());
          FusedPass emulated =
              new FusedPass(
                  manager,
                  config,
                  storage,
                  checkpointing,
                  type,
                  new CudaTimeline(gpu),
                  scope -> operators(scope, config, type, gpu, 64))) {
        for (MicroBatch batch : batches) {
          host.run(batch, expected);
          emulated.run(batch, actual);
        }
        double loss = host.takeLoss();
        assertEquals(loss, emulated.takeLoss(), Math.min(bound, 5e-3) * loss);
        assertEquals(0, emulated.takeLoss(), "taken already");
      }
      Map<String, double[]> gradients = actual.gradients();
      assertEquals(expected.gradients().keySet(), gradients.keySet());
      expected
          .gradients()
          .forEach((name, gradient) -> assertClose(name, gradient, gradients.get(name), bound));
    }
    assertEquals(0, gpu.live());
    assertEquals(tensors, Tensor.live());
  }

  static FusedOperators operators(
      NDManager manager,
      ModelConfig config,
      ScalarType type,
      HostMemoryGpu gpu,
      int sequenceLength) {
    return new CudaOperators(
        manager,
        config,
        sequenceLength,
        gpu,
        new EmulatedLauncher(EmulatedLauncher.Order.SHUFFLED),
        new CublasProducts(new HostGemm(), type),
        staging -> new HostAttention(config, Optional.empty(), Optional.empty()));
  }

  static FlatStorage storage(
      NDManager manager, ModelConfig config, Random random, ScalarType type) {
    FlatLayout layout = ModelLayout.of(config).parameters();
    Map<String, double[]> values = new HashMap<>();
    for (FlatLayout.Entry entry : layout.entries()) {
      double[] array = new double[Math.toIntExact(entry.elements())];
      for (int i = 0; i < array.length; i++) {
        array[i] = entry.name().endsWith("norm.weight") ? 1 + 0.1 * i / array.length : 0;
        array[i] += 0.15 * random.nextGaussian();
      }
      values.put(entry.name(), array);
    }
    return new FlatStorage(manager, layout, values, type);
  }

  /** Rows of several documents of random lengths, with the first token of each not a target. */
  static MicroBatch packed(Random random, int vocabulary, int rows, int length) {
    int[][] inputs = new int[rows][];
    int[][] targets = new int[rows][];
    List<int[]> starts = new ArrayList<>();
    for (int row = 0; row < rows; row++) {
      int[] tokens = random.ints(length + 1, 0, vocabulary).toArray();
      inputs[row] = java.util.Arrays.copyOf(tokens, length);
      targets[row] = java.util.Arrays.copyOfRange(tokens, 1, length + 1);
      int[] documents = random.ints(row, 1, length).sorted().distinct().toArray();
      for (int start : documents) {
        targets[row][start - 1] = MicroBatch.MASKED;
      }
      starts.add(documents);
    }
    return new MicroBatch(inputs, targets, starts);
  }

  static void assertClose(String what, double[] expected, double[] actual, double bound) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      error += (expected[i] - actual[i]) * (expected[i] - actual[i]);
      norm += expected[i] * expected[i];
    }
    double relative = Math.sqrt(error / norm);
    assertTrue(norm > 0 && relative < bound, what + " is off by " + relative + " relative");
  }
}
