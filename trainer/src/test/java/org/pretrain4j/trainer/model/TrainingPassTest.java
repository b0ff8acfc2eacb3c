package org.pretrain4j.trainer.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.fused.ChunkedPass;
import org.pretrain4j.trainer.fused.FusedPass;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.reference.ReferenceModel;

/** The model against an independent implementation in float64. */
final class TrainingPassTest {
  private static final int LENGTH = 24;
  private static final long SEED = 31;

  private NDManager manager;
  private WorkerPool pool;
  private long liveBefore;

  @BeforeEach
  void open() {
    System.out.println("seed " + SEED);
    liveBefore = Tensor.live();
    manager = NDManager.newBaseManager("PyTorch");
    pool = new WorkerPool(2);
  }

  @AfterEach
  void nothingIsLeftAlive() {
    manager.close();
    pool.close();
    assertEquals(liveBefore, Tensor.live());
  }

  /**
   * Relative error in the L2 norm, of all logits and of each gradient on its own. In bfloat16 (8
   * significant bits, unit roundoff 0.4%) the loss stays within 1%, logits and gradients within 5%.
   */
  @ParameterizedTest
  @CsvSource({
    "composed, 4, 2, 4, true, FLOAT32, 1e-5",
    "composed, 2, 4, 0, false, FLOAT32, 1e-5",
    "composed, 3, 1, 2, true, FLOAT32, 1e-5",
    "composed, 4, 2, 4, true, BFLOAT16, 5e-2",
    "composed, 2, 1, 2, false, BFLOAT16, 5e-2",
    "fused, 4, 2, 4, true, FLOAT32, 1e-5",
    "fused, 2, 4, 0, false, FLOAT32, 1e-5",
    "fused, 3, 1, 2, true, FLOAT32, 1e-5",
    "fused, 4, 2, 4, true, BFLOAT16, 5e-2",
    "fused, 2, 1, 2, false, BFLOAT16, 5e-2",
    "fused in chunks, 4, 2, 4, true, FLOAT32, 1e-5",
    "fused in chunks, 2, 4, 0, false, FLOAT32, 1e-5",
    "fused in chunks, 4, 2, 4, true, BFLOAT16, 5e-2",
    "fused in chunks without MKL, 4, 2, 4, true, FLOAT32, 1e-5",
    "fused without MKL, 4, 2, 4, true, FLOAT32, 1e-5",
    "fused without MKL, 2, 4, 0, false, FLOAT32, 1e-5",
    "fused without tiles, 4, 2, 4, true, BFLOAT16, 5e-2",
    "fused without MKL, 4, 2, 4, true, BFLOAT16, 5e-2"
  })
  void logitsLossAndGradientsAgreeWithTheReference(
      String kind,
      int layers,
      int kvHeads,
      int interval,
      boolean tied,
      ScalarType type,
      double bound) {
    ModelConfig config = config(layers, kvHeads, interval, tied);
    Random random = new Random(SEED);
    Map<String, double[]> values = parameters(config, random, type);
    ReferenceModel reference = new ReferenceModel(referenceConfig(config), values);
    MicroBatch batch = batch(random, config.vocabSize(), new int[] {5, 6, 17}, new int[] {});
    FlatLayout layout = ModelLayout.of(config).parameters();
    FlatStorage storage = new FlatStorage(manager, layout, values, type);

    double expectedLoss = 0;
    long expectedCount = 0;
    Map<String, double[]> expected = new HashMap<>();
    List<double[]> expectedLogits = new ArrayList<>();
    for (int row = 0; row < batch.rows(); row++) {
      int[] starts = batch.documentStarts().get(row);
      var result = reference.lossAndGradients(batch.inputs()[row], batch.targets()[row], starts);
      long count = count(batch.targets()[row]);
      expectedLoss += result.loss() * count;
      expectedCount += count;
      result.gradients().forEach((name, gradient) -> add(expected, name, gradient, count));
      expectedLogits.add(reference.logits(batch.inputs()[row], starts));
    }

    RecordingSink sink = new RecordingSink(manager);
    double loss;
    try (TrainingPass pass = pass(kind, config, storage, type)) {
      pass.run(batch, sink);
      loss = pass.takeLoss();
    }
    Map<String, double[]> actual = sink.gradients();
    List<Integer> parts = sink.partsDone();
    assertEquals(expectedCount, batch.targetCount());
    double lossBound = type == ScalarType.FLOAT32 ? bound : 1e-2;
    assertEquals(expectedLoss, loss, lossBound * expectedLoss, "loss");
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((name, gradient) -> assertClose(name, gradient, actual.get(name), bound));
    List<Integer> downwards = new ArrayList<>();
    for (int part = layers + 1; part >= 0; part--) {
      downwards.add(part);
    }
    assertEquals(downwards, parts);

    try (InferenceModel inference = new InferenceModel(manager, config, storage, type, LENGTH)) {
      float[] logits = inference.logits(batch);
      int each = logits.length / batch.rows();
      for (int row = 0; row < batch.rows(); row++) {
        double[] got = new double[each];
        for (int i = 0; i < each; i++) {
          got[i] = logits[row * each + i];
        }
        assertClose("logits of row " + row, expectedLogits.get(row), got, bound);
      }
      float[] next = inference.nextLogits(batch.inputs()[1]);
      float[] last = new float[config.vocabSize()];
      System.arraycopy(logits, logits.length - last.length, last, 0, last.length);
      assertArrayEquals(last, next, type == ScalarType.FLOAT32 ? 1e-5f : 0.1f);
    }
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32", "BFLOAT16"})
  void anEarlierDocumentDoesNotChangeTheLogitsOfALaterOne(ScalarType type) {
    ModelConfig config = config(4, 2, 4, true);
    Random random = new Random(SEED);
    Map<String, double[]> values = parameters(config, random, type);
    FlatStorage storage =
        new FlatStorage(manager, ModelLayout.of(config).parameters(), values, type);
    MicroBatch one = batch(random, config.vocabSize(), new int[] {9});
    int[][] changed = {one.inputs()[0].clone()};
    for (int i = 0; i < 9; i++) {
      changed[0][i] = (changed[0][i] + 1) % config.vocabSize();
    }
    MicroBatch other = new MicroBatch(changed, one.targets(), one.documentStarts());
    try (InferenceModel inference = new InferenceModel(manager, config, storage, type, LENGTH)) {
      float[] a = inference.logits(one);
      float[] b = inference.logits(other);
      int vocabulary = config.vocabSize();
      boolean firstDiffers = false;
      for (int i = 0; i < a.length; i++) {
        if (i < 9 * vocabulary) {
          firstDiffers |= a[i] != b[i];
        } else {
          assertEquals(a[i], b[i], "position " + i / vocabulary);
        }
      }
      assertTrue(firstDiffers);
    }
  }

  /** Packed documents, and layers with and without rotation; also twice with the same memory. */
  @ParameterizedTest
  @CsvSource({
    "composed, FLOAT32",
    "composed, BFLOAT16",
    "fused, FLOAT32",
    "fused, BFLOAT16",
    "fused without MKL, BFLOAT16"
  })
  void whatIsComputedAgainGivesTheSameBits(String kind, ScalarType type) {
    ModelConfig config = config(4, 2, 4, true);
    Random random = new Random(SEED);
    Map<String, double[]> values = parameters(config, random, type);
    FlatStorage storage =
        new FlatStorage(manager, ModelLayout.of(config).parameters(), values, type);
    MicroBatch batch = batch(random, config.vocabSize(), new int[] {5, 6, 17}, new int[] {});
    Map<String, double[]> expected = null;
    double expectedLoss = 0;
    for (ActivationCheckpointing checkpointing : ActivationCheckpointing.values()) {
      try (TrainingPass pass = pass(kind, config, storage, checkpointing, type)) {
        for (int time = 0; time < 2; time++) {
          RecordingSink sink = new RecordingSink(manager);
          pass.run(batch, sink);
          double loss = pass.takeLoss();
          Map<String, double[]> gradients = sink.gradients();
          if (expected == null) {
            expected = gradients;
            expectedLoss = loss;
          }
          assertEquals(expectedLoss, loss);
          assertEquals(List.of(5, 4, 3, 2, 1, 0), sink.partsDone());
          for (String name : expected.keySet()) {
            assertArrayEquals(expected.get(name), gradients.get(name), checkpointing + " " + name);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "composed, NONE",
    "composed, SELECTED",
    "composed, FULL",
    "fused, NONE",
    "fused, FULL",
    "fused without MKL, NONE"
  })
  void aStepLeavesAsManyLiveTensorsAsThereWereBefore(
      String kind, ActivationCheckpointing checkpointing) {
    ModelConfig config = config(2, 2, 4, true);
    Random random = new Random(SEED);
    Map<String, double[]> values = parameters(config, random, ScalarType.BFLOAT16);
    FlatStorage storage =
        new FlatStorage(manager, ModelLayout.of(config).parameters(), values, ScalarType.BFLOAT16);
    MicroBatch batch = batch(random, config.vocabSize(), new int[] {3}, new int[] {});
    RecordingSink sink = new RecordingSink(manager);
    try (TrainingPass pass = pass(kind, config, storage, checkpointing, ScalarType.BFLOAT16)) {
      pass.run(batch, sink);
      long before = Tensor.live();
      for (int i = 0; i < 3; i++) {
        pass.run(batch, sink);
        assertEquals(before, Tensor.live());
      }
    }
  }

  private TrainingPass pass(
      String kind, ModelConfig config, ParameterStorage storage, ScalarType type) {
    return pass(kind, config, storage, ActivationCheckpointing.NONE, type);
  }

  private TrainingPass pass(
      String kind,
      ModelConfig config,
      ParameterStorage storage,
      ActivationCheckpointing checkpointing,
      ScalarType type) {
    return switch (kind) {
      case "composed" ->
          new LayerwisePass(manager, config, storage, checkpointing, type, LENGTH, Timeline.host());
      case "fused" -> new FusedPass(manager, config, storage, checkpointing, type, LENGTH, pool);
      case "fused in chunks" -> inChunks(config, storage, type, MklGemm.of(type), TileGemm.find());
      case "fused in chunks without MKL" ->
          inChunks(config, storage, type, Optional.empty(), Optional.empty());
      default ->
          new FusedPass(
              manager,
              config,
              storage,
              checkpointing,
              type,
              LENGTH,
              pool,
              kind.endsWith("tiles") ? MklGemm.of(type) : Optional.empty(),
              Optional.empty());
    };
  }

  /** Six chunks of the head have seven of the 48 tokens, the last one six. */
  private TrainingPass inChunks(
      ModelConfig config,
      ParameterStorage storage,
      ScalarType type,
      Optional<MklGemm> gemm,
      Optional<TileGemm> tiles) {
    return ChunkedPass.of(manager, config, storage, type, LENGTH, pool, gemm, tiles, 7);
  }

  private static ModelConfig config(int layers, int kvHeads, int interval, boolean tied) {
    return new ModelConfig(
        37, 32, 48, layers, 4, kvHeads, 8, 10_000, interval, 1e-6, 0.02, 64, tied);
  }

  private static ReferenceModel.Config referenceConfig(ModelConfig config) {
    return new ReferenceModel.Config(
        config.vocabSize(),
        config.hiddenSize(),
        config.intermediateSize(),
        config.numHiddenLayers(),
        config.numAttentionHeads(),
        config.numKeyValueHeads(),
        config.headDim(),
        config.ropeTheta(),
        config.noRopeLayerInterval(),
        config.rmsNormEps(),
        config.tieWordEmbeddings());
  }

  /** Random values that the type represents exactly, so that both sides start from the same. */
  private static Map<String, double[]> parameters(
      ModelConfig config, Random random, ScalarType type) {
    Map<String, double[]> values =
        ReferenceModel.randomParameters(referenceConfig(config), random, 0.2);
    for (double[] array : values.values()) {
      for (int i = 0; i < array.length; i++) {
        float value = (float) array[i];
        array[i] =
            type == ScalarType.FLOAT32
                ? value
                : Float.intBitsToFloat(Float.floatToRawIntBits(value) & 0xffff0000);
      }
    }
    return values;
  }

  private static MicroBatch batch(Random random, int vocabulary, int[]... documentStarts) {
    int rows = documentStarts.length;
    int[][] inputs = new int[rows][LENGTH];
    int[][] targets = new int[rows][LENGTH];
    for (int row = 0; row < rows; row++) {
      int[] tokens = random.ints(LENGTH + 1, 0, vocabulary).toArray();
      System.arraycopy(tokens, 0, inputs[row], 0, LENGTH);
      System.arraycopy(tokens, 1, targets[row], 0, LENGTH);
      for (int start : documentStarts[row]) {
        targets[row][start - 1] = MicroBatch.MASKED;
      }
    }
    return new MicroBatch(inputs, targets, List.of(documentStarts));
  }

  private static long count(int[] targets) {
    long count = 0;
    for (int target : targets) {
      count += target == MicroBatch.MASKED ? 0 : 1;
    }
    return count;
  }

  private static void add(Map<String, double[]> sums, String name, double[] values, double factor) {
    double[] sum = sums.computeIfAbsent(name, key -> new double[values.length]);
    for (int i = 0; i < values.length; i++) {
      sum[i] += factor * values[i];
    }
  }

  private static void assertClose(String what, double[] expected, double[] actual, double bound) {
    assertEquals(expected.length, actual.length, what);
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      error += (expected[i] - actual[i]) * (expected[i] - actual[i]);
      norm += expected[i] * expected[i];
    }
    double relative = Math.sqrt(error / norm);
    assertTrue(relative < bound, what + " is off by " + relative + " relative");
  }
}
