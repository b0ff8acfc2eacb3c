package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * Logits of a model that stays where it is stored: a layer is read when it is computed, of the
 * tables only what is needed, so that memory stays at the weights of one layer. In fp32, for a few
 * tokens; the same weights give the same bits.
 */
public final class StreamedModel implements AutoCloseable {
  private static final int PIECE_ELEMENTS = 1 << 20;
  private static final int HEAD_ELEMENTS = 1 << 22;

  private final ModelConfig config;
  private final TensorSource weights;
  private final Map<String, FlatLayout.Entry> entries;
  private final NDManager manager;
  private final InferenceModel layers;
  private final RmsNorm finalNorm;
  private final float[] piece = new float[PIECE_ELEMENTS];

  /**
   * @param weights all parameters of the model, by the names of {@link ModelLayout}
   * @param sequenceLength longest row
   */
  public StreamedModel(
      NDManager parent, ModelConfig config, TensorSource weights, int sequenceLength) {
    this.config = config;
    this.weights = weights;
    this.entries = LeafParameters.byName(ModelLayout.of(config).parameters());
    this.manager = parent.newSubManager();
    this.layers =
        new InferenceModel(manager, config, this::read, ScalarType.FLOAT32, sequenceLength);
    this.finalNorm = new RmsNorm(ModelLayout.FINAL_NORM, config.hiddenSize(), config.rmsNormEps());
  }

  /**
   * Logits of all positions of one row.
   *
   * @return {@code [tokens * vocabulary]}, row-major
   */
  public float[] logits(int[] tokens) {
    MicroBatch batch =
        new MicroBatch(new int[][] {tokens}, new int[][] {tokens}, List.of(new int[0]));
    try (NDManager scope = manager.newSubManager()) {
      Tensor hidden = layers.throughLayers(scope, embed(scope, tokens), batch);
      LeafParameters parameters = new LeafParameters(scope, this::read, entries);
      Tensor normal =
          (Tensor) finalNorm.compute(parameters, new NDList(hidden), false).singletonOrThrow();
      return project(normal, tokens.length);
    }
  }

  /** Rows of the table, {@code [1, tokens, hidden]}. */
  private Tensor embed(NDManager scope, int[] tokens) {
    int width = config.hiddenSize();
    float[] rows = new float[tokens.length * width];
    float[] row = new float[width];
    for (int i = 0; i < tokens.length; i++) {
      weights.read(ModelLayout.EMBEDDING, (long) tokens[i] * width, row, width);
      System.arraycopy(row, 0, rows, i * width, width);
    }
    return Tensor.of(scope, rows, 1, tokens.length, width);
  }

  private float[] project(Tensor normal, int tokens) {
    String name = config.tieWordEmbeddings() ? ModelLayout.EMBEDDING : ModelLayout.HEAD;
    int vocabulary = config.vocabSize();
    int width = config.hiddenSize();
    int step = Math.max(1, HEAD_ELEMENTS / width);
    float[] logits = new float[tokens * vocabulary];
    for (int first = 0; first < vocabulary; first += step) {
      int rows = Math.min(step, vocabulary - first);
      try (NDManager part = normal.getManager().newSubManager()) {
        Tensor slice = Tensor.empty(part, ScalarType.FLOAT32, rows, width);
        fill(name, (long) first * width, slice);
        Tensor input = normal.alias(part);
        float[] some = InferenceModel.toFloats(Operators.linear(input, slice));
        for (int token = 0; token < tokens; token++) {
          System.arraycopy(some, token * rows, logits, token * vocabulary + first, rows);
        }
      }
    }
    return logits;
  }

  private Tensor read(NDManager owner, FlatLayout.Entry parameter) {
    long[] shape = parameter.shape().stream().mapToLong(Long::longValue).toArray();
    Tensor tensor = Tensor.empty(owner, ScalarType.FLOAT32, shape);
    fill(parameter.name(), 0, tensor);
    return tensor;
  }

  /** Reads elements from one on, as many as the tensor has. */
  private void fill(String name, long from, Tensor into) {
    MemorySegment target = into.segment();
    long elements = into.elements();
    for (long done = 0; done < elements; done += PIECE_ELEMENTS) {
      int length = (int) Math.min(PIECE_ELEMENTS, elements - done);
      weights.read(name, from + done, piece, length);
      MemorySegment.copy(piece, 0, target, ValueLayout.JAVA_FLOAT, done * Float.BYTES, length);
    }
  }

  @Override
  public void close() {
    layers.close();
    manager.close();
  }
}
