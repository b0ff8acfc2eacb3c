package org.pretrain4j.trainer.fused;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.pretrain4j.trainer.kernels.RotaryAngles;
import org.pretrain4j.trainer.libtorch.GradientMode;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;

/**
 * Chains of libtorch's own operators in float32, on every device that it has; gradients are those
 * of its automatic differentiation. Slower than the others, and what they are held against. Rows
 * are taken some at a time, so that what lies between the operators of a chain stays small.
 */
final class ComposedOperators implements FusedOperators {
  private static final int CHUNK_ELEMENTS = 1 << 22;

  private final NDManager manager;
  private final ModelConfig config;
  private final int chunkElements;
  private final Tensor cosines;
  private final Tensor sines;
  private final DocumentAttention attention;
  private final GradientProducts products;
  private final Tensor lossSum;
  private Tensor inputs;
  private Tensor targets;

  /**
   * @param manager of the device; owns what is kept
   * @param type of the model
   * @param sequenceLength longest row
   */
  ComposedOperators(NDManager manager, ModelConfig config, ScalarType type, int sequenceLength) {
    this(manager, config, type, sequenceLength, CHUNK_ELEMENTS);
  }

  /**
   * @param chunkElements of what a chain works on at a time, unless one row has more
   */
  ComposedOperators(
      NDManager manager,
      ModelConfig config,
      ScalarType type,
      int sequenceLength,
      int chunkElements) {
    this.manager = manager;
    this.chunkElements = chunkElements;
    this.config = config;
    RotaryAngles angles = RotaryAngles.of(sequenceLength, config.headDim(), config.ropeTheta());
    long half = config.headDim() / 2;
    this.cosines = Tensor.of(manager, angles.cosines(), sequenceLength, 1, half);
    this.sines = Tensor.of(manager, angles.sines(), sequenceLength, 1, half);
    this.attention = new ComposedAttention(manager, config, chunkElements);
    this.products = new TensorProducts(manager, type);
    this.lossSum = Tensor.zeros(manager, ScalarType.FLOAT64, 1);
  }

  /** Work on some of the rows. */
  @FunctionalInterface
  private interface RowWork {
    /**
     * @param scope owns what lies between
     */
    void run(NDManager scope, long from, long to);
  }

  private void byRows(long rows, long columns, RowWork work) {
    long chunk = Math.max(1, chunkElements / columns);
    for (long from = 0; from < rows; from += chunk) {
      try (NDManager scope = manager.newSubManager()) {
        work.run(scope, from, Math.min(rows, from + chunk));
      }
    }
  }

  private static Tensor rows(NDManager scope, Activation activation, long from, long to) {
    return Operators.slice(activation.tensor().alias(scope), 0, from, to);
  }

  /** The same in float32, outside of what is recorded. */
  private static Tensor precise(NDManager scope, Activation activation, long from, long to) {
    return Operators.to(rows(scope, activation, from, to), ScalarType.FLOAT32);
  }

  @Override
  public void begin(MicroBatch batch) {
    int[] tokens = batch.flatInputs();
    int[] wanted = batch.flatTargets();
    check(tokens, false);
    check(wanted, true);
    forget();
    inputs = indices(tokens);
    targets = indices(wanted);
  }

  private void check(int[] tokens, boolean masks) {
    for (int token : tokens) {
      boolean masked = masks && token == MicroBatch.MASKED;
      if (!masked && (token < 0 || token >= config.vocabSize())) {
        throw new IllegalArgumentException(
            "token " + token + " in a vocabulary of " + config.vocabSize() + " tokens");
      }
    }
  }

  private Tensor indices(int[] tokens) {
    return Tensor.of(manager, Arrays.stream(tokens).asLongStream().toArray(), tokens.length);
  }

  private void forget() {
    if (inputs != null) {
      inputs.close();
      targets.close();
    }
  }

  @Override
  public void embed(Activation table, Activation output) {
    try (NDManager scope = manager.newSubManager()) {
      output.tensor().copyFrom(Operators.embedding(table.tensor().alias(scope), inputs));
    }
  }

  @Override
  public void embedBackward(Activation gradient, Tensor sum) {
    try (NDManager scope = manager.newSubManager()) {
      Tensor precise = precise(scope, gradient, 0, gradient.rows());
      Operators.addTo(sum, Operators.embeddingGradient(precise, inputs, sum.size(0)));
    }
  }

  @Override
  public void norm(Activation x, Activation weight, Activation y, Tensor scale) {
    byRows(
        x.rows(),
        x.columns(),
        (scope, from, to) -> {
          Tensor precise = precise(scope, x, from, to);
          Tensor factor = normScale(precise);
          Tensor normed = Operators.to(Operators.mul(precise, factor), x.tensor().type());
          rows(scope, y, from, to).copyFrom(Operators.mul(normed, weight.tensor()));
          Operators.slice(scale.alias(scope), 0, from, to)
              .copyFrom(Operators.reshape(factor, to - from));
        });
  }

  /** {@code 1 / sqrt(mean(x²) + eps)}: {@code [rows, 1]}. */
  private Tensor normScale(Tensor x) {
    Tensor meanSquare = Operators.meanOfLastAxis(Operators.mul(x, x));
    return Operators.rsqrt(Operators.add(meanSquare, config.rmsNormEps()));
  }

  /**
   * The scale is computed again. The normed row is rounded for the weight's gradient, as it was
   * when it met the weight; the gradient of x goes past that rounding.
   */
  @Override
  public void normBackward(
      Activation dy,
      Activation past,
      Activation x,
      Activation weight,
      Tensor scale,
      Activation dx,
      Tensor weightGradient) {
    byRows(
        x.rows(),
        x.columns(),
        (scope, from, to) -> {
          Tensor gradient = precise(scope, dy, from, to);
          Tensor leaf = precise(scope, x, from, to).requireGradient();
          Tensor w = Operators.to(weight.tensor().alias(scope), ScalarType.FLOAT32);
          Tensor normed = GradientMode.record(() -> Operators.mul(leaf, normScale(leaf)));
          Tensor y = GradientMode.record(() -> Operators.mul(normed, w));
          y.backward(gradient);
          Tensor rounded = Operators.to(normed, x.tensor().type());
          Tensor cast = Operators.to(rounded, ScalarType.FLOAT32);
          Operators.addTo(weightGradient, Operators.sumOverAxis(Operators.mul(gradient, cast), 0));
          Tensor through = leaf.gradient();
          Tensor sum =
              past == null ? through : Operators.add(through, precise(scope, past, from, to));
          rows(scope, dx, from, to).copyFrom(sum);
        });
  }

  @Override
  public void rotate(Activation qkv, int heads, int sequenceLength) {
    turn(qkv, heads, sequenceLength, false);
  }

  @Override
  public void rotateBack(Activation gradient, int heads, int sequenceLength) {
    turn(gradient, heads, sequenceLength, true);
  }

  /** A row of the batch at a time; elements i and i + headDim / 2 of a head are a pair. */
  private void turn(Activation qkv, int heads, int sequenceLength, boolean back) {
    long half = config.headDim() / 2;
    for (long start = 0; start < qkv.rows(); start += sequenceLength) {
      try (NDManager scope = manager.newSubManager()) {
        long length = Math.min(sequenceLength, qkv.rows() - start);
        Tensor cosine = Operators.slice(cosines.alias(scope), 0, 0, length);
        Tensor forward = Operators.slice(sines.alias(scope), 0, 0, length);
        Tensor sine = back ? Operators.negate(forward) : forward;
        long[] sizes = {length, heads, half};
        long[] strides = {qkv.columns(), config.headDim(), 1};
        long offset = start * qkv.columns();
        Tensor first = qkv.tensor().view(scope, offset, sizes, strides);
        Tensor second = qkv.tensor().view(scope, offset + half, sizes, strides);
        Tensor a = Operators.to(first, ScalarType.FLOAT32);
        Tensor b = Operators.to(second, ScalarType.FLOAT32);
        Tensor turnedA =
            Operators.add(Operators.mul(a, cosine), Operators.negate(Operators.mul(b, sine)));
        Tensor turnedB = Operators.add(Operators.mul(b, cosine), Operators.mul(a, sine));
        first.copyFrom(turnedA);
        second.copyFrom(turnedB);
      }
    }
  }

  @Override
  public void swiGlu(Activation gateUp, Activation activated) {
    byRows(
        gateUp.rows(),
        gateUp.columns(),
        (scope, from, to) ->
            rows(scope, activated, from, to).copyFrom(swiGlu(precise(scope, gateUp, from, to))));
  }

  private static Tensor swiGlu(Tensor gateUp) {
    long intermediate = gateUp.size(1) / 2;
    Tensor gate = Operators.slice(gateUp, 1, 0, intermediate);
    Tensor up = Operators.slice(gateUp, 1, intermediate, 2 * intermediate);
    return Operators.mul(Operators.silu(gate), up);
  }

  @Override
  public void swiGluBackward(Activation gradient, Activation gateUp) {
    byRows(
        gateUp.rows(),
        gateUp.columns(),
        (scope, from, to) -> {
          Tensor leaf = precise(scope, gateUp, from, to).requireGradient();
          Tensor result = GradientMode.record(() -> swiGlu(leaf));
          result.backward(precise(scope, gradient, from, to));
          rows(scope, gateUp, from, to).copyFrom(leaf.gradient());
        });
  }

  @Override
  public void crossEntropy(Activation logits, int start) {
    byRows(
        logits.rows(),
        logits.columns(),
        (scope, from, to) -> {
          Tensor leaf = precise(scope, logits, from, to).requireGradient();
          Tensor wanted = Operators.slice(targets.alias(scope), 0, start + from, start + to);
          Tensor loss =
              GradientMode.record(() -> Operators.crossEntropySum(leaf, wanted, MicroBatch.MASKED));
          loss.backward(Operators.reshape(Tensor.of(scope, new float[] {1}, 1)));
          rows(scope, logits, from, to).copyFrom(leaf.gradient());
          Operators.addTo(lossSum, Operators.to(loss, ScalarType.FLOAT64));
        });
  }

  @Override
  public double takeLoss() {
    try (NDManager host = manager.newSubManager(Device.cpu())) {
      Tensor taken = Tensor.empty(host, ScalarType.FLOAT64, 1);
      taken.copyFrom(lossSum);
      lossSum.zero();
      return taken.segment().get(ValueLayout.JAVA_DOUBLE, 0);
    }
  }

  @Override
  public DocumentAttention attention() {
    return attention;
  }

  @Override
  public GradientProducts products() {
    return products;
  }

  @Override
  public void close() {
    forget();
  }
}
