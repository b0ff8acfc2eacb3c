package org.pretrain4j.trainer.sharding;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.kernels.Accumulation;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.GradientSink;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Pending;

/**
 * The gradients of one step in float32: sums over the micro-batches of a rank, then, in the last of
 * them, reduced over all ranks, bucket by bucket as soon as a bucket is complete, while the layers
 * below still compute. Afterwards this rank's chunk of each bucket holds the sum over all ranks.
 */
public final class GradientBuffer implements GradientSink {
  private final ParameterBuffer sums;
  private final Tensor flat;
  private final NDManager views;
  private final Buckets buckets;
  private final Collectives collectives;
  private final List<Pending> underWay = new ArrayList<>();
  private final Set<FlatLayout.Entry> begun = new HashSet<>();
  private final WorkerPool pool;
  private boolean lastMicroBatch;

  /**
   * @param manager on the device of the model; owns the buffer
   * @param pool threads that add; not closed here
   */
  public GradientBuffer(
      NDManager manager, Buckets buckets, Collectives collectives, WorkerPool pool) {
    this.pool = pool;
    this.views = manager;
    this.buckets = buckets;
    this.collectives = collectives;
    this.sums = new ParameterBuffer(manager, buckets, ScalarType.FLOAT32);
    this.flat = sums.tensor();
  }

  /** Forgets the last step; every pass must deliver the gradient of every parameter. */
  public void startStep() {
    begun.clear();
    lastMicroBatch = false;
  }

  /** Says that the next pass is the rank's last of this step, so that buckets may leave. */
  public void startLastMicroBatch() {
    lastMicroBatch = true;
  }

  @Override
  public void add(FlatLayout.Entry parameter, Tensor gradient) {
    try (Tensor sum = sums.view(views, parameter)) {
      if (begun.add(parameter)) {
        // The first addend is the sum: the last step's needs no zeroing.
        sum.copyFrom(gradient);
      } else if (gradient.type() == ScalarType.BFLOAT16) {
        Accumulation.addBfloat16(pool, sum.segment(), gradient.segment());
      } else {
        Accumulation.add(pool, sum.segment(), gradient.segment());
      }
    }
  }

  @Override
  public Tensor sumOf(FlatLayout.Entry parameter) {
    Tensor sum = sums.view(views, parameter);
    if (begun.add(parameter)) {
      sum.zero();
    }
    return sum;
  }

  @Override
  public void partDone(int part) {
    if (!lastMicroBatch) {
      return;
    }
    for (int i = buckets.buckets().size() - 1; i >= 0; i--) {
      Bucket bucket = buckets.buckets().get(i);
      if (bucket.readyPart() == part) {
        underWay.add(collectives.reduceScatter(sums.bucket(bucket), own(bucket)));
      }
    }
  }

  /** Lets all buckets leave: what a rank does that has no rows in this step. */
  public void reduceWithoutPass(int parts) {
    flat.zero();
    lastMicroBatch = true;
    for (int part = parts - 1; part >= 0; part--) {
      partDone(part);
    }
  }

  /**
   * Waits until this rank's chunks hold the sums over all ranks.
   *
   * @return the seconds that were spent waiting
   */
  public double await() {
    long start = System.nanoTime();
    underWay.forEach(Pending::await);
    underWay.clear();
    return (System.nanoTime() - start) * 1e-9;
  }

  /** This rank's chunk of a bucket, float32, padding included. */
  FlatBuffer own(Bucket bucket) {
    return sums.chunk(bucket, collectives.rank());
  }

  /** The buffer of all sums {@code [storageElements]}. */
  Tensor tensor() {
    return flat;
  }
}
