package org.pretrain4j.trainer.sharding;

import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;

/** The memory of contiguous tensors, as collectives and {@link ShardOperators} want it. */
final class TensorMemory {
  private TensorMemory() {}

  /** All elements of a tensor of float32 or bfloat16. */
  static FlatBuffer of(Tensor tensor) {
    ElementType type =
        tensor.type() == ScalarType.BFLOAT16 ? ElementType.BFLOAT16 : ElementType.FLOAT32;
    return new FlatBuffer(tensor.address(), tensor.elements(), type);
  }
}
