package org.pretrain4j.trainer.sharding;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Pending;

/**
 * A full set of gradients: sums over the micro-batches of the rank, reduced over all ranks in the
 * last of them. Communicates once a step.
 */
final class AccumulatedGradients extends GradientBuffer {
  private final ParameterBuffer sums;
  private final Buckets buckets;
  private final Collectives collectives;
  private final List<Pending> underWay = new ArrayList<>();
  private int passesLeft;

  AccumulatedGradients(
      NDManager manager,
      Buckets buckets,
      Collectives collectives,
      ShardOperators operators,
      Standstill standstill) {
    super(manager, operators, standstill);
    this.buckets = buckets;
    this.collectives = collectives;
    this.sums = new ParameterBuffer(manager, buckets, ScalarType.FLOAT32);
  }

  @Override
  public void startStep(int passes) {
    forgetSums();
    passesLeft = passes;
    if (passes == 0) {
      sums.tensor().zero();
      buckets.buckets().reversed().forEach(this::reduce);
    }
  }

  @Override
  public void partDone(int part) {
    if (passesLeft == 1) {
      buckets.buckets().reversed().stream()
          .filter(bucket -> bucket.readyPart() == part)
          .forEach(this::reduce);
    }
    if (part == 0) {
      passesLeft--;
    }
  }

  private void reduce(Bucket bucket) {
    underWay.add(collectives.reduceScatter(sums.bucket(bucket), own(bucket)));
  }

  @Override
  public void finishStep() {
    passesEnd();
    underWay.forEach(this::follow);
    underWay.getLast().await(); // and so all: they end in their order
    underWay.clear();
  }

  @Override
  Tensor sum(NDManager views, FlatLayout.Entry parameter) {
    return sums.view(views, parameter);
  }

  @Override
  FlatBuffer own(Bucket bucket) {
    return sums.chunk(bucket, collectives.rank());
  }
}
