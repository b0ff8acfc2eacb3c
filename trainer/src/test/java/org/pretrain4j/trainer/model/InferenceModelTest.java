package org.pretrain4j.trainer.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import ai.djl.ndarray.NDManager;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/** What leaves the device of a model. */
final class InferenceModelTest {
  private static final long SEED = 53;
  private static final int VOCABULARY = 97;
  private static final int LENGTH = 16;

  @Test
  void logLikelihoodsTakenOnTheDeviceAreThoseOfTheHost() {
    System.out.println("seed " + SEED);
    ModelConfig config =
        new ModelConfig(VOCABULARY, 32, 48, 2, 4, 2, 8, 10_000, 0, 1e-6, 0.02, LENGTH, true);
    FlatLayout layout = ModelLayout.of(config).parameters();
    Random random = new Random(SEED);
    Map<String, double[]> values = new HashMap<>();
    for (FlatLayout.Entry entry : layout.entries()) {
      long elements = entry.shape().stream().mapToLong(Long::longValue).reduce(1, (a, b) -> a * b);
      values.put(entry.name(), random.doubles(elements).map(value -> value - 0.5).toArray());
    }
    long live = Tensor.live();
    try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
      FlatStorage storage = new FlatStorage(manager, layout, values, ScalarType.BFLOAT16);
      int[][] inputs = {random.ints(LENGTH, 0, VOCABULARY).toArray()};
      int[][] targets = {random.ints(LENGTH, 0, VOCABULARY).toArray()};
      targets[0][3] = MicroBatch.MASKED;
      MicroBatch batch = new MicroBatch(inputs, targets, List.of(new int[] {4}));
      try (InferenceModel model =
          new InferenceModel(manager, config, storage, ScalarType.BFLOAT16, LENGTH)) {
        double[] host = model.targetLogProbabilities(batch, false);
        double[] device = model.targetLogProbabilities(batch, true);
        assertArrayEquals(host, device, 1e-5);
        assertEquals(0, device[3]);
        assertNotEquals(device[2], device[4]);
      }
    }
    assertEquals(live, Tensor.live());
  }
}
