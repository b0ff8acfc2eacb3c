package org.pretrain4j.trainer.model;

import ai.djl.Device;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/** Logits without gradients, for evaluation and generation. */
public final class InferenceModel implements AutoCloseable {
  private final SmolLm3 model;
  private final ModelConfig config;
  private final Map<String, FlatLayout.Entry> entries;
  private final ParameterStorage storage;
  private final NDManager manager;
  private final ContextFactory contexts;

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
      return toFloats(project(scope, hidden));
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
      return toFloats(project(scope, last));
    }
  }

  private Tensor hidden(NDManager scope, MicroBatch batch) {
    Context context = contexts.of(scope, batch);
    LeafParameters parameters = new LeafParameters(scope, storage, entries);
    Tensor hidden = embed(scope, parameters, batch);
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

  private Tensor project(NDManager scope, Tensor hidden) {
    LeafParameters parameters = new LeafParameters(scope, storage, entries);
    Tensor logits = (Tensor) model.head().compute(parameters, new NDList(hidden), false).head();
    return Operators.to(logits, ScalarType.FLOAT32);
  }

  private static float[] toFloats(Tensor tensor) {
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
