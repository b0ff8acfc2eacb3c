package org.pretrain4j.trainer.model;

import ai.djl.Device;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/** Logits without gradients, for evaluation and generation. */
public final class InferenceModel implements AutoCloseable {
  // 16 MiB of them.
  private static final int LOGITS_AT_ONCE = 1 << 22;

  private final SmolLm3 model;
  private final ModelConfig config;
  private final Map<String, FlatLayout.Entry> entries;
  private final ParameterStorage storage;
  private final NDManager manager;
  private final ContextFactory contexts;

  /**
   * In fp32, with weights of any type, which are widened when they are needed.
   *
   * @param parent on the device to compute on
   * @param sequenceLength longest row
   */
  public static InferenceModel exact(
      NDManager parent, ModelConfig config, ParameterStorage storage, int sequenceLength) {
    return new InferenceModel(
        parent,
        config,
        (scope, entry) -> Operators.to(storage.view(scope, entry), ScalarType.FLOAT32),
        ScalarType.FLOAT32,
        sequenceLength);
  }

  /**
   * @param parent on the device to compute on
   * @param type what the model computes in, the storage's type
   * @param sequenceLength longest row
   */
  public InferenceModel(
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ScalarType type,
      int sequenceLength) {
    this.config = config;
    this.model = new SmolLm3(config);
    this.entries = LeafParameters.byName(ModelLayout.of(config).parameters());
    this.storage = storage;
    this.manager = parent.newSubManager();
    this.contexts = new ContextFactory(manager, config, type, sequenceLength);
  }

  /**
   * Logits of all positions.
   *
   * @return {@code [rows * sequence * vocabulary]}, row-major
   */
  public float[] logits(MicroBatch batch) {
    try (NDManager scope = manager.newSubManager()) {
      Tensor hidden = hidden(scope, batch);
      return toFloats(project(new LeafParameters(scope, storage, entries), hidden));
    }
  }

  /**
   * Logits of the last position of one row.
   *
   * @param tokens the row so far
   * @return {@code [vocabulary]}
   */
  public float[] nextLogits(int[] tokens) {
    MicroBatch batch =
        new MicroBatch(new int[][] {tokens}, new int[][] {tokens}, List.of(new int[0]));
    try (NDManager scope = manager.newSubManager()) {
      Tensor hidden = hidden(scope, batch);
      long width = config.hiddenSize();
      Tensor last = hidden.view(scope, (tokens.length - 1) * width, 1, 1, width);
      return toFloats(project(new LeafParameters(scope, storage, entries), last));
    }
  }

  /**
   * Log-likelihoods of the targets, in nats. The logits of a few positions are in memory at a time;
   * on the host their sums are in float64, on a GPU libtorch takes them there, in float32.
   *
   * @return {@code [rows * sequence]}, 0 where a target is masked
   */
  public double[] targetLogProbabilities(MicroBatch batch) {
    return targetLogProbabilities(batch, manager.getDevice().isGpu());
  }

  double[] targetLogProbabilities(MicroBatch batch, boolean onDevice) {
    int[] targets = batch.flatTargets();
    double[] result = new double[targets.length];
    int width = config.hiddenSize();
    int step = Math.max(1, LOGITS_AT_ONCE / config.vocabSize());
    try (NDManager scope = manager.newSubManager()) {
      Tensor hidden = hidden(scope, batch);
      LeafParameters parameters = new LeafParameters(scope, storage, entries);
      for (int from = 0; from < targets.length; from += step) {
        int length = Math.min(step, targets.length - from);
        if (anyTarget(targets, from, length)) {
          try (NDManager part = scope.newSubManager()) {
            Tensor some = hidden.view(part, (long) from * width, 1, length, width);
            Tensor logits = project(parameters, some);
            if (onDevice) {
              addOnDevice(part, logits, targets, from, length, result);
            } else {
              addLogProbabilities(toFloats(logits), targets, from, length, result);
            }
          }
        }
      }
    }
    return result;
  }

  private static boolean anyTarget(int[] targets, int from, int length) {
    for (int i = from; i < from + length; i++) {
      if (targets[i] != MicroBatch.MASKED) {
        return true;
      }
    }
    return false;
  }

  /** Only one number a position leaves the device. */
  private void addOnDevice(
      NDManager part, Tensor logits, int[] targets, int from, int length, double[] into) {
    long[] wanted = Arrays.stream(targets, from, from + length).asLongStream().toArray();
    Tensor rows = logits.view(part, 0, length, config.vocabSize());
    Tensor losses =
        Operators.crossEntropyOfEach(rows, Tensor.of(part, wanted, length), MicroBatch.MASKED);
    float[] values = toFloats(losses);
    for (int i = 0; i < length; i++) {
      if (targets[from + i] != MicroBatch.MASKED) {
        into[from + i] = -values[i];
      }
    }
  }

  private void addLogProbabilities(
      float[] logits, int[] targets, int from, int length, double[] into) {
    int vocabulary = config.vocabSize();
    for (int i = 0; i < length; i++) {
      int target = targets[from + i];
      if (target != MicroBatch.MASKED) {
        int row = i * vocabulary;
        float largest = Float.NEGATIVE_INFINITY;
        for (int id = 0; id < vocabulary; id++) {
          largest = Math.max(largest, logits[row + id]);
        }
        double sum = 0;
        for (int id = 0; id < vocabulary; id++) {
          sum += Math.exp(logits[row + id] - (double) largest);
        }
        into[from + i] = logits[row + target] - (double) largest - Math.log(sum);
      }
    }
  }

  private Tensor hidden(NDManager scope, MicroBatch batch) {
    LeafParameters parameters = new LeafParameters(scope, storage, entries);
    return throughLayers(scope, embed(scope, parameters, batch), batch);
  }

  /**
   * Hidden states after the last layer. The parameters of a layer are asked for when it is
   * computed, and closed before those of the next.
   *
   * @param embedded {@code [rows, sequence, hidden]}, closed by this
   */
  Tensor throughLayers(NDManager scope, Tensor embedded, MicroBatch batch) {
    Context context = contexts.of(scope, batch);
    Tensor hidden = embedded;
    for (DecoderLayer layer : model.layers()) {
      try (NDManager between = scope.newSubManager()) {
        Tensor input = hidden.alias(between);
        LeafParameters local = new LeafParameters(between, storage, entries);
        Tensor next = (Tensor) layer.compute(local, context.with(input), false).head();
        hidden.close();
        hidden = next.alias(scope);
      }
    }
    return hidden;
  }

  private Tensor embed(NDManager scope, LeafParameters parameters, MicroBatch batch) {
    return (Tensor)
        model
            .embedding()
            .compute(parameters, new NDList(Batches.inputs(scope, batch)), false)
            .head();
  }

  private Tensor project(LeafParameters parameters, Tensor hidden) {
    Tensor logits = (Tensor) model.head().compute(parameters, new NDList(hidden), false).head();
    return Operators.to(logits, ScalarType.FLOAT32);
  }

  static float[] toFloats(Tensor tensor) {
    try (NDManager host = tensor.getManager().newSubManager(Device.cpu())) {
      Tensor copy = Tensor.empty(host, ScalarType.FLOAT32, tensor.getShape().getShape());
      copy.copyFrom(tensor);
      return copy.segment().toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
