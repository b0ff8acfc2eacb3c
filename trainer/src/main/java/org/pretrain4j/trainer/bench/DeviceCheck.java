package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.fused.Passes;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.model.ParameterStorage;
import org.pretrain4j.trainer.model.TrainingPass;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.WeightDecayRange;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.ParameterBuffer;
import org.pretrain4j.trainer.sharding.ShardOperators;

/**
 * Whether a device computes what it should: loss and gradients of one pass in bfloat16 on it,
 * against the same pass in float32 on the CPU, from the same weights (rounded to bfloat16 once) and
 * the same tokens; and what AdamW makes of these gradients on it and on the CPU.
 */
public final class DeviceCheck {
  /** Of the loss, relative. */
  public static final double LOSS_TOLERANCE = 1e-2;

  /** Of each parameter's gradient: the L2 norm of the difference over its own. */
  public static final double GRADIENT_TOLERANCE = 5e-2;

  /** Of what AdamW makes of the same values, relative in the L2 norm. */
  public static final double UPDATE_TOLERANCE = 1e-6;

  private static final AdamWSettings ADAM_W = new AdamWSettings(0.9, 0.95, 1e-8);
  private static final double WEIGHT_DECAY = 0.1;
  private static final double LEARNING_RATE = 1e-3;
  private static final long SEED = 6;
  private static final long BUCKET_ELEMENTS = 25_000_000;

  private final ComputeDevice device;
  private final Shape shape;
  private final MicroBatch batch;

  /**
   * What came out.
   *
   * @param expectedLoss mean over the targets, in nats, in float32 on the CPU
   * @param loss the same on the device
   * @param lossError relative
   * @param gradient name of the one that is off the most
   * @param gradientError relative in the L2 norm
   * @param updateError of the parameter that is off the most after one update by AdamW
   */
  public record Report(
      double expectedLoss,
      double loss,
      double lossError,
      String gradient,
      double gradientError,
      double updateError) {

    /** Whether all is within the tolerances; what is not a number is not. */
    public boolean passes() {
      return lossError <= LOSS_TOLERANCE
          && gradientError <= GRADIENT_TOLERANCE
          && updateError <= UPDATE_TOLERANCE;
    }
  }

  record Result(double loss, Map<String, float[]> gradients) {}

  /**
   * @param device that is to be checked; stays open
   * @param shape of the pass
   */
  public DeviceCheck(ComputeDevice device, Shape shape) {
    this.device = device;
    this.shape = shape;
    this.batch = shape.randomBatch(SEED);
  }

  /** Runs both passes and compares. */
  public Report run() {
    Result actual = pass(device, ScalarType.BFLOAT16);
    try (ComputeDevice host = ComputeDevice.host(device.pool().threads())) {
      double updates = updateError(host, actual.gradients());
      return report(pass(host, ScalarType.FLOAT32), actual, updates);
    }
  }

  static Report report(Result expected, Result actual, double updateError) {
    String worst = "";
    double error = 0;
    for (Map.Entry<String, float[]> gradient : expected.gradients().entrySet()) {
      double own = error(gradient.getValue(), actual.gradients().get(gradient.getKey()));
      if (!Double.isNaN(error) && !(own <= error)) { // so that NaN is the worst, and stays
        error = own;
        worst = gradient.getKey();
      }
    }
    double lossError = Math.abs(actual.loss() - expected.loss()) / expected.loss();
    return new Report(expected.loss(), actual.loss(), lossError, worst, error, updateError);
  }

  private double updateError(ComputeDevice host, Map<String, float[]> gradients) {
    double worst = 0;
    try (ShardOperators there = ShardOperators.of(device);
        ShardOperators here = ShardOperators.of(host)) {
      for (float[] gradient : gradients.values()) {
        float[] expected = update(here, host.manager(), gradient);
        double error = error(expected, update(there, device.manager(), gradient));
        worst = Math.max(worst, error); // NaN stays
      }
    }
    return worst;
  }

  /** What one update makes of weights that are, for want of others, the gradient itself. */
  private float[] update(ShardOperators operators, NDManager parent, float[] gradient) {
    try (NDManager scope = parent.newSubManager()) {
      Tensor weights = Tensor.of(scope, gradient, gradient.length);
      operators.update(
          ADAM_W,
          new ShardOperators.State(
              flat(weights),
              flat(Tensor.zeros(scope, ScalarType.FLOAT32, gradient.length)),
              flat(Tensor.zeros(scope, ScalarType.FLOAT32, gradient.length)),
              flat(Tensor.of(scope, gradient, gradient.length)),
              Optional.empty()),
          List.of(new WeightDecayRange(new FlatRange(0, gradient.length), WEIGHT_DECAY)),
          1,
          LEARNING_RATE,
          1.0 / batch.targetCount());
      return RecordedGradients.values(weights);
    }
  }

  private static FlatBuffer flat(Tensor tensor) {
    return new FlatBuffer(tensor.address(), tensor.elements(), ElementType.FLOAT32);
  }

  Result pass(ComputeDevice where, ScalarType type) {
    Buckets buckets = Buckets.of(ModelLayout.of(shape.model()), 1, BUCKET_ELEMENTS);
    try (NDManager manager = where.manager().newSubManager()) {
      ParameterBuffer rounded = new ParameterBuffer(manager, buckets, ScalarType.BFLOAT16);
      rounded.initialize(new ParameterInitializer(shape.model(), SEED));
      ParameterStorage weights =
          (owner, parameter) -> Operators.to(rounded.view(owner, parameter), type);
      RecordedGradients gradients = new RecordedGradients(manager);
      try (TrainingPass pass =
          Passes.of(
              Kernels.FUSED,
              ActivationCheckpointing.NONE,
              where,
              shape.model(),
              weights,
              type,
              shape.sequenceLength())) {
        pass.run(batch, gradients);
        double loss = pass.takeLoss() / batch.targetCount();
        Map<String, float[]> values = new HashMap<>();
        gradients.forEach(values::put);
        return new Result(loss, values);
      }
    }
  }

  private static double error(float[] expected, float[] actual) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      double d = (double) actual[i] - expected[i];
      difference += d * d;
      norm += (double) expected[i] * expected[i];
    }
    return difference == 0 ? 0 : Math.sqrt(difference / norm);
  }
}
