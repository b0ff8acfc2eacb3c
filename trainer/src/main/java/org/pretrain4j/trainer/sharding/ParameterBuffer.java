package org.pretrain4j.trainer.sharding;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.model.ParameterStorage;
import org.pretrain4j.trainer.parallel.FlatBuffer;

/** One rank's full set of values in one padded buffer: the weights that it computes with. */
public final class ParameterBuffer implements ParameterStorage {
  private final Tensor values;
  private final Buckets buckets;

  /**
   * A buffer of zeros.
   *
   * @param manager on the device of the model; owns the buffer
   */
  public ParameterBuffer(NDManager manager, Buckets buckets, ScalarType type) {
    this.values = Tensor.zeros(manager, type, buckets.storageElements());
    this.buckets = buckets;
  }

  @Override
  public Tensor view(NDManager manager, FlatLayout.Entry parameter) {
    long[] sizes = parameter.shape().stream().mapToLong(Long::longValue).toArray();
    return values.view(manager, buckets.storageOffset(parameter.offset()), sizes);
  }

  /** First values of a model, without any optimizer's state. */
  public void initialize(ParameterInitializer initializer) {
    for (Bucket bucket : buckets.buckets()) {
      long length = bucket.range().length();
      try (NDManager scope = values.getManager().newSubManager(Device.cpu())) {
        Tensor first = Tensor.empty(scope, ScalarType.FLOAT32, length);
        initializer.fill(bucket.range(), first.segment());
        values.view(scope, bucket.storageStart(), length).copyFrom(first);
      }
    }
  }

  /** Type of the values. */
  public ScalarType type() {
    return values.type();
  }

  /** All values of a bucket, padding included, as one buffer for a collective. */
  FlatBuffer bucket(Bucket bucket) {
    return slice(bucket.storageStart(), bucket.chunk() * buckets.worldSize());
  }

  /** A rank's chunk of a bucket. */
  FlatBuffer chunk(Bucket bucket, int rank) {
    return slice(bucket.storageStart() + rank * bucket.chunk(), bucket.chunk());
  }

  private FlatBuffer slice(long start, long elements) {
    return TensorMemory.of(values).slice(start, elements);
  }

  /** The buffer as one tensor {@code [storageElements]}. */
  Tensor tensor() {
    return values;
  }
}
