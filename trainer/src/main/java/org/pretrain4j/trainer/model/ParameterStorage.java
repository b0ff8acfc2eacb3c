package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDManager;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.Tensor;

/** The buffer that holds the values of all parameters in the type that the model computes in. */
public interface ParameterStorage {

  /** A parameter's values: a view of its shape, outside of automatic differentiation. */
  Tensor view(NDManager manager, FlatLayout.Entry parameter);
}
