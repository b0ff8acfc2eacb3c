package org.pretrain4j.trainer.sharding;

import ai.djl.ndarray.NDManager;
import java.util.HashSet;
import java.util.Set;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.GradientSink;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.parallel.Pending;

/**
 * The gradients of one step in float32. They are reduced over all ranks bucket by bucket, as soon
 * as a bucket is complete, while the layers below still compute. Afterwards this rank's chunk of
 * each bucket holds the sum over all micro-batches and all ranks.
 *
 * <pre>{@code
 * gradients.startStep(batches.size());
 * batches.forEach(batch -> pass.run(batch, gradients));
 * gradients.finishStep();
 * }</pre>
 */
public abstract sealed class GradientBuffer implements GradientSink
    permits AccumulatedGradients, ShardedGradients {
  private final NDManager views;
  private final ShardOperators operators;
  private final Standstill standstill;
  private final Set<FlatLayout.Entry> begun = new HashSet<>();

  /**
   * @param views owns the views of parameters, until they are closed
   * @param operators what adds, on the device of the model
   * @param standstill of that device
   */
  GradientBuffer(NDManager views, ShardOperators operators, Standstill standstill) {
    this.views = views;
    this.operators = operators;
    this.standstill = standstill;
  }

  /**
   * A buffer of the kind that a run asks for.
   *
   * @param manager on the device of the model; owns the memory
   * @param sharding what stays of the gradients
   * @param mostPasses passes of the rank that has the most in a step
   * @param operators what adds, on the device of the model
   * @param timeline of that device; not closed here
   */
  public static GradientBuffer of(
      GradientSharding sharding,
      NDManager manager,
      Buckets buckets,
      Collectives collectives,
      int mostPasses,
      ShardOperators operators,
      Timeline timeline) {
    Standstill standstill = new Standstill(timeline);
    return isSharded(sharding, buckets, mostPasses)
        ? new ShardedGradients(manager, buckets, collectives, mostPasses, operators, standstill)
        : new AccumulatedGradients(manager, buckets, collectives, operators, standstill);
  }

  /** Bytes that {@link #of} takes. */
  public static long bytes(GradientSharding sharding, Buckets buckets, int mostPasses) {
    return Float.BYTES
        * (isSharded(sharding, buckets, mostPasses)
            ? ShardedGradients.elements(buckets)
            : buckets.storageElements());
  }

  /** Whether {@link #of} keeps only a shard. */
  public static boolean isSharded(GradientSharding sharding, Buckets buckets, int mostPasses) {
    return switch (sharding) {
      case FULL -> false;
      case SHARDED -> buckets.worldSize() > 1;
      case AUTO ->
          buckets.worldSize() > 1
              && mostPasses <= 1
              && ShardedGradients.elements(buckets) < buckets.storageElements();
    };
  }

  /**
   * Forgets the last step.
   *
   * @param passes that this rank makes now, each of which delivers the gradient of every parameter
   */
  public abstract void startStep(int passes);

  /**
   * Takes part in what the other ranks still reduce, and waits until this rank's chunks hold the
   * sums over all ranks.
   */
  public abstract void finishStep();

  /** What the last step waited, once; waits until the device has come to the end of it. */
  public final Standstill.Waits takeWaits() {
    return standstill.take();
  }

  /** This rank's chunk of a bucket, float32, padding included. */
  abstract FlatBuffer own(Bucket bucket);

  /** Where the gradient of a parameter is summed; the caller closes it. */
  abstract Tensor sum(NDManager views, FlatLayout.Entry parameter);

  /** Puts what comes next behind a reduction. */
  final void follow(Pending reduction) {
    standstill.follow(reduction);
  }

  /** The host has queued all passes of the step. */
  final void passesEnd() {
    standstill.passesEnd();
  }

  /** Makes the next gradient of every parameter its first. */
  final void forgetSums() {
    begun.clear();
  }

  @Override
  public final void add(FlatLayout.Entry parameter, Tensor gradient) {
    try (Tensor sum = sum(views, parameter)) {
      if (begun.add(parameter)) {
        // The first addend is the sum: what was there before needs no zeroing.
        sum.copyFrom(gradient);
      } else {
        operators.add(TensorMemory.of(sum), TensorMemory.of(gradient));
      }
    }
  }

  @Override
  public final Sum sumOf(FlatLayout.Entry parameter) {
    return new Sum(sum(views, parameter), begun.add(parameter));
  }
}
