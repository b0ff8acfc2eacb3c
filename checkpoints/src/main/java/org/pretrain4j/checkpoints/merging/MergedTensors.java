package org.pretrain4j.checkpoints.merging;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

/** The tensors of a merge, computed piece by piece as they are read. For one thread. */
final class MergedTensors implements TensorSource {
  private static final int PIECE_ELEMENTS = 1 << 20;

  /** Above this cosine an arc is as good as a line, and its sine too small to divide by. */
  private static final double NEARLY_PARALLEL = 0.9995;

  private final MergeConfig config;
  private final List<TensorSource> sources;
  private final boolean roundedAgain;
  private final Map<String, double[]> coefficients = new HashMap<>();
  private float[] piece = new float[0];
  private double[] sums = new double[0];

  /**
   * A merge of models.
   *
   * @param sources one for each model of the configuration
   * @param output the type that the values will be rounded to
   * @throws UserException if the models have different tensors, or if a filter fits none
   */
  MergedTensors(MergeConfig config, List<TensorSource> sources, DType output) {
    this.config = config;
    this.sources = sources;
    this.roundedAgain = output != DType.F32;
    sources.subList(1, sources.size()).forEach(other -> requireSame(sources.getFirst(), other));
    config.models().forEach(this::requireUsefulFilters);
  }

  private static void requireSame(TensorSource first, TensorSource other) {
    Map<String, TensorSpec> found = new HashMap<>();
    other.tensors().forEach(tensor -> found.put(tensor.name(), tensor));
    for (TensorSpec tensor : first.tensors()) {
      TensorSpec theirs = found.remove(tensor.name());
      if (theirs == null) {
        throw new UserException(
            "%s lacks the tensor %s that %s has"
                .formatted(other.name(), tensor.name(), first.name()));
      }
      if (!theirs.shape().equals(tensor.shape())) {
        boolean vocabulary = tensor.name().equals(ModelArchitecture.EMBEDDING);
        throw new UserException(
            "%s differs: %s has the shape %s in %s and %s in %s"
                .formatted(
                    vocabulary ? "the vocabulary" : "the model",
                    tensor.name(),
                    tensor.shape(),
                    first.name(),
                    theirs.shape(),
                    other.name()));
      }
    }
    if (!found.isEmpty()) {
      throw new UserException(
          "%s has the tensor %s that %s lacks"
              .formatted(other.name(), found.keySet().iterator().next(), first.name()));
    }
  }

  private void requireUsefulFilters(MergeConfig.Model model) {
    for (MergeConfig.Filter filter : model.filters()) {
      if (tensors().stream()
          .noneMatch(tensor -> Pattern.matches(filter.tensors(), tensor.name()))) {
        throw new UserException(
            "the filter '%s' of %s fits no tensor; names look like %s"
                .formatted(filter.tensors(), model.path(), tensors().getLast().name()));
      }
    }
  }

  @Override
  public String name() {
    return "the merge of " + String.join(", ", sources.stream().map(TensorSource::name).toList());
  }

  @Override
  public List<TensorSpec> tensors() {
    return sources.getFirst().tensors();
  }

  @Override
  public void read(String tensor, long from, float[] into, int length) {
    double[] factors = coefficients.computeIfAbsent(tensor, this::coefficients);
    if (piece.length < length) {
      piece = new float[length];
      sums = new double[length];
    }
    Arrays.fill(sums, 0, length, 0);
    for (int model = 0; model < factors.length; model++) {
      if (factors[model] != 0) {
        sources.get(model).read(tensor, from, piece, length);
        for (int i = 0; i < length; i++) {
          sums[i] += factors[model] * piece[i];
        }
      }
    }
    for (int i = 0; i < length; i++) {
      into[i] = roundedAgain ? roundToOdd(sums[i]) : (float) sums[i];
    }
  }

  /**
   * To fp32 in such a way that rounding the result to fewer bits is the same as rounding the value
   * itself: what does not fit is kept as an odd last bit (Boldo and Melquiond, 2008).
   */
  static float roundToOdd(double value) {
    float nearest = (float) value;
    if (nearest == value || Float.isNaN(nearest)) {
      return nearest;
    }
    float towardsZero =
        Math.abs((double) nearest) > Math.abs(value)
            ? Float.intBitsToFloat(Float.floatToRawIntBits(nearest) - 1)
            : nearest;
    return Float.intBitsToFloat(Float.floatToRawIntBits(towardsZero) | 1);
  }

  private double[] coefficients(String tensor) {
    List<Double> weights = new ArrayList<>();
    for (MergeConfig.Model model : config.models()) {
      weights.add(weight(model, tensor));
    }
    if (config.method() == MergeConfig.Method.SLERP) {
      return arc(tensor, weights.get(1));
    }
    double sum = weights.stream().mapToDouble(Double::doubleValue).sum();
    if (config.normalize() && Math.abs(sum) < 1e-8) {
      throw new UserException(
          "the weights %s of %s sum up to nothing; set normalize to false"
              .formatted(weights, tensor));
    }
    double divisor = config.normalize() ? sum : 1;
    return weights.stream().mapToDouble(weight -> weight / divisor).toArray();
  }

  private static double weight(MergeConfig.Model model, String tensor) {
    for (MergeConfig.Filter filter : model.filters()) {
      if (Pattern.matches(filter.tensors(), tensor)) {
        return filter.weight();
      }
    }
    return model.weight();
  }

  /** sin((1-t) angle) / sin(angle) and sin(t angle) / sin(angle) (Shoemake, 1985). */
  private double[] arc(String tensor, double t) {
    TensorSpec spec = find(tensor).orElseThrow();
    float[] left = new float[PIECE_ELEMENTS];
    float[] right = new float[PIECE_ELEMENTS];
    double product = 0;
    double leftSquares = 0;
    double rightSquares = 0;
    for (long from = 0; from < spec.elements(); from += PIECE_ELEMENTS) {
      int length = (int) Math.min(PIECE_ELEMENTS, spec.elements() - from);
      sources.get(0).read(tensor, from, left, length);
      sources.get(1).read(tensor, from, right, length);
      for (int i = 0; i < length; i++) {
        product += (double) left[i] * right[i];
        leftSquares += (double) left[i] * left[i];
        rightSquares += (double) right[i] * right[i];
      }
    }
    double cosine = product / Math.sqrt(leftSquares * rightSquares);
    if (!(Math.abs(cosine) < NEARLY_PARALLEL)) {
      return new double[] {1 - t, t};
    }
    double angle = Math.acos(cosine);
    return new double[] {
      Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)
    };
  }

  @Override
  public void close() {
    sources.forEach(TensorSource::close);
  }
}
