package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * What the layers share for one micro-batch, besides the hidden states.
 *
 * @param cos {@code [sequence, headDim]}
 * @param sin {@code [sequence, headDim]}
 * @param mask booleans {@code [batch, 1, sequence, sequence]}, true where a query may look; null if
 *     no row holds a document boundary
 */
record Context(Tensor cos, Tensor sin, Tensor mask) {

  /** A layer's inputs as DJL wants them: the hidden states, then the context. */
  NDList with(Tensor hidden) {
    NDList list = new NDList(hidden, cos, sin);
    if (mask != null) {
      list.add(mask);
    }
    return list;
  }

  static Context of(NDList inputs) {
    return new Context(
        (Tensor) inputs.get(1),
        (Tensor) inputs.get(2),
        inputs.size() > 3 ? (Tensor) inputs.get(3) : null);
  }
}
