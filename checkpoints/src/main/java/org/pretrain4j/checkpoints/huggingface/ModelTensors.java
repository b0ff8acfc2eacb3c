package org.pretrain4j.checkpoints.huggingface;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

/** The tensors of a model in its own order, after a check that they are exactly those. */
public final class ModelTensors implements TensorSource {
  private static final int PIECE_ELEMENTS = 1 << 16;

  private final TensorSource source;
  private final List<TensorSpec> tensors;

  private ModelTensors(TensorSource source, List<TensorSpec> tensors) {
    this.source = source;
    this.tensors = tensors;
  }

  /**
   * Checks a source against a model. Rotary tables that old writers stored are left out, and so is
   * a head that is stored although it is the embedding table.
   *
   * @throws UserException if a tensor is missing, is one too many or has another shape
   */
  public static ModelTensors of(TensorSource source, ModelArchitecture architecture) {
    Map<String, TensorSpec> found = new HashMap<>();
    source.tensors().forEach(tensor -> found.put(tensor.name(), tensor));
    List<TensorSpec> expected = architecture.tensors();
    for (TensorSpec tensor : expected) {
      TensorSpec stored = found.remove(tensor.name());
      if (stored == null) {
        throw new UserException(
            "%s lacks the tensor %s of shape %s"
                .formatted(source.name(), tensor.name(), tensor.shape()));
      }
      if (!stored.shape().equals(tensor.shape())) {
        throw new UserException(
            "%s: the tensor %s has the shape %s, the model needs %s"
                .formatted(source.name(), tensor.name(), stored.shape(), tensor.shape()));
      }
    }
    found.keySet().removeIf(name -> name.endsWith(".rotary_emb.inv_freq"));
    TensorSpec head = found.remove(ModelArchitecture.HEAD);
    if (head != null && !isEmbedding(source, head)) {
      throw new UserException(
          "%s has a %s of its own although its embeddings are tied; set tie_word_embeddings to false"
              .formatted(source.name(), ModelArchitecture.HEAD));
    }
    if (!found.isEmpty()) {
      throw new UserException(
          "%s has the tensor %s, which this model has no place for"
              .formatted(source.name(), found.keySet().stream().sorted().findFirst().get()));
    }
    return new ModelTensors(source, expected);
  }

  private static boolean isEmbedding(TensorSource source, TensorSpec head) {
    TensorSpec embedding = source.find(ModelArchitecture.EMBEDDING).orElseThrow();
    if (!embedding.shape().equals(head.shape())) {
      return false;
    }
    float[] left = new float[PIECE_ELEMENTS];
    float[] right = new float[PIECE_ELEMENTS];
    long elements = head.elements();
    for (long from = 0; from < elements; from += PIECE_ELEMENTS) {
      int length = (int) Math.min(PIECE_ELEMENTS, elements - from);
      source.read(head.name(), from, left, length);
      source.read(embedding.name(), from, right, length);
      if (!Arrays.equals(left, 0, length, right, 0, length)) {
        return false;
      }
    }
    return true;
  }

  @Override
  public String name() {
    return source.name();
  }

  @Override
  public List<TensorSpec> tensors() {
    return tensors;
  }

  @Override
  public void read(String tensor, long from, float[] into, int length) {
    source.read(tensor, from, into, length);
  }

  @Override
  public void close() {
    source.close();
  }
}
