package org.pretrain4j.spark;

import org.apache.spark.Partitioner;
import org.pretrain4j.data.shuffle.ShufflePlan;

/** Brings the sequences of a bucket, keyed by their numbers in the source, to one partition. */
final class BucketPartitioner extends Partitioner {
  private static final long serialVersionUID = 1L;

  private final ShufflePlan plan;

  BucketPartitioner(ShufflePlan plan) {
    this.plan = plan;
  }

  @Override
  public int numPartitions() {
    return plan.buckets();
  }

  @Override
  public int getPartition(Object sequence) {
    return plan.bucketOf((Long) sequence);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof BucketPartitioner partitioner && partitioner.plan.equals(plan);
  }

  @Override
  public int hashCode() {
    return plan.hashCode();
  }
}
