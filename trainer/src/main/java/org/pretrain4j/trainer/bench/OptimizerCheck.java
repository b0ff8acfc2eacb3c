package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.checkpoints.tensors.Rounding;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.WeightDecayRange;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.sharding.ShardOperators;

/**
 * Whether a device's optimizer does what the host's does: one update of a run that is under way,
 * with random weights and moments that are not zero, and the sum of squares for the norm.
 */
public final class OptimizerCheck {
  /** Of weights and moments after an update of the same values, relative in the L2 norm. */
  public static final double UPDATE_TOLERANCE = 1e-6;

  /** Of the sum of squares, relative: in float64, but not in the same order. */
  public static final double SQUARES_TOLERANCE = 1e-10;

  private static final AdamWSettings ADAM_W = new AdamWSettings(0.9, 0.95, 1e-8);
  private static final double WEIGHT_DECAY = 0.1;
  private static final double LEARNING_RATE = 1e-3;
  private static final float LARGEST_WEIGHT = 0.04f;

  /** Of a larger parameter the first so many: more than a bucket of a run has by default. */
  private static final int MOST_ELEMENTS = 1 << 25;

  /** In the first one, zero moments and the correction of their bias hide wrong betas. */
  private static final long UPDATE = 3;

  private final Place host;
  private final Place device;
  private final double gradientScale;
  private final SplittableRandom random = new SplittableRandom(UPDATE);

  /** Where an optimizer works, and whose memory it works on. */
  record Place(ShardOperators operators, NDManager manager) {}

  /**
   * What came out, of the parameter that is off the most in each.
   *
   * @param updateError of the weights or a moment after the update, relative in the L2 norm
   * @param wrongRoundings weights whose bfloat16 copy is not the nearest to the device's own
   *     float32, over all parameters
   * @param squaresError of the sum of squares, relative
   */
  public record Report(double updateError, long wrongRoundings, double squaresError) {
    /** Nothing was off. */
    static final Report EXACT = new Report(0, 0, 0);

    /** Whether all is within the tolerances; what is not a number is not. */
    public boolean passes() {
      return updateError <= UPDATE_TOLERANCE
          && wrongRoundings == 0
          && squaresError <= SQUARES_TOLERANCE;
    }

    private Report and(Report other) {
      return new Report(
          Math.max(updateError, other.updateError), // NaN stays
          wrongRoundings + other.wrongRoundings,
          Math.max(squaresError, other.squaresError));
    }
  }

  /** The state of one parameter, flat, in the memory of one place. */
  private record Values(
      Tensor master, Tensor expAvg, Tensor expAvgSq, Tensor gradient, Tensor bfloat16) {

    static Values empty(NDManager manager, long elements) {
      return new Values(
          Tensor.empty(manager, ScalarType.FLOAT32, elements),
          Tensor.empty(manager, ScalarType.FLOAT32, elements),
          Tensor.empty(manager, ScalarType.FLOAT32, elements),
          Tensor.empty(manager, ScalarType.FLOAT32, elements),
          Tensor.zeros(manager, ScalarType.BFLOAT16, elements));
    }

    void copyFrom(Values other) {
      master.copyFrom(other.master);
      expAvg.copyFrom(other.expAvg);
      expAvgSq.copyFrom(other.expAvgSq);
      gradient.copyFrom(other.gradient);
    }

    ShardOperators.State state() {
      return new ShardOperators.State(
          flat(master),
          flat(expAvg),
          flat(expAvgSq),
          flat(gradient),
          Optional.of(
              new FlatBuffer(bfloat16.address(), bfloat16.elements(), ElementType.BFLOAT16)));
    }

    /** Two parts, as the gradients of a run come in several. */
    List<FlatBuffer> squared() {
      return List.of(flat(gradient), flat(master));
    }
  }

  /**
   * @param gradientScale what the gradients are multiplied by as they are read
   */
  OptimizerCheck(Place host, Place device, double gradientScale) {
    this.host = host;
    this.device = device;
    this.gradientScale = gradientScale;
  }

  /** Updates a parameter for each gradient in both places and compares. */
  Report run(Collection<float[]> gradients) {
    return gradients.stream().map(this::check).reduce(Report.EXACT, Report::and);
  }

  private Report check(float[] gradient) {
    try (NDManager here = host.manager.newSubManager();
        NDManager there = device.manager.newSubManager()) {
      int elements = Math.min(gradient.length, MOST_ELEMENTS);
      Values expected = Values.empty(here, elements);
      fill(expected, MemorySegment.ofArray(gradient).asSlice(0, (long) elements * Float.BYTES));
      Values actual = Values.empty(there, elements);
      actual.copyFrom(expected);
      double squares = host.operators.sumOfSquares(expected.squared());
      double off = Math.abs(device.operators.sumOfSquares(actual.squared()) - squares) / squares;
      update(host.operators, expected);
      update(device.operators, actual);
      double error =
          Math.max(
              error(expected.master, actual.master),
              Math.max(
                  error(expected.expAvg, actual.expAvg),
                  error(expected.expAvgSq, actual.expAvgSq)));
      return new Report(error, wrongRoundings(actual), off);
    }
  }

  /** Moments of the gradient's size, so that neither hides the other in the new ones. */
  private void fill(Values values, MemorySegment gradient) {
    long elements = values.gradient.elements();
    values.gradient.segment().copyFrom(gradient);
    double squares = host.operators.sumOfSquares(List.of(flat(values.gradient)));
    float size = (float) (Math.sqrt(squares / elements) * gradientScale);
    MemorySegment master = values.master.segment();
    MemorySegment expAvg = values.expAvg.segment();
    MemorySegment expAvgSq = values.expAvgSq.segment();
    for (long i = 0; i < elements; i++) {
      float weight = LARGEST_WEIGHT * (2 * random.nextFloat() - 1);
      master.setAtIndex(ValueLayout.JAVA_FLOAT, i, weight);
      expAvg.setAtIndex(ValueLayout.JAVA_FLOAT, i, size * (2 * random.nextFloat() - 1));
      expAvgSq.setAtIndex(ValueLayout.JAVA_FLOAT, i, size * size * (0.5f + random.nextFloat()));
    }
  }

  private void update(ShardOperators operators, Values values) {
    long elements = values.master.elements();
    long cut = elements / 3;
    List<WeightDecayRange> decays =
        List.of(
            new WeightDecayRange(new FlatRange(0, cut), WEIGHT_DECAY),
            new WeightDecayRange(new FlatRange(cut, elements), 0));
    operators.update(ADAM_W, values.state(), decays, UPDATE, LEARNING_RATE, gradientScale);
  }

  private static double error(Tensor expected, Tensor actual) {
    return DeviceCheck.error(RecordedGradients.values(expected), RecordedGradients.values(actual));
  }

  private long wrongRoundings(Values actual) {
    try (Tensor master = onHost(actual.master);
        Tensor bfloat16 = onHost(actual.bfloat16)) {
      MemorySegment exact = master.segment();
      MemorySegment rounded = bfloat16.segment();
      long wrong = 0;
      for (long i = 0; i < master.elements(); i++) {
        short nearest = Rounding.toBfloat16(exact.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        wrong += nearest == rounded.getAtIndex(ValueLayout.JAVA_SHORT, i) ? 0 : 1;
      }
      return wrong;
    }
  }

  private Tensor onHost(Tensor tensor) {
    Tensor copy = Tensor.empty(host.manager, tensor.type(), tensor.elements());
    copy.copyFrom(tensor);
    return copy;
  }

  private static FlatBuffer flat(Tensor tensor) {
    return new FlatBuffer(tensor.address(), tensor.elements(), ElementType.FLOAT32);
  }
}
