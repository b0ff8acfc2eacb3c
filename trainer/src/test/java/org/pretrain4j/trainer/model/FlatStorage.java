package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDManager;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/** All parameters in one buffer without padding, from given values. */
public final class FlatStorage implements ParameterStorage {
  private final Tensor flat;

  public FlatStorage(
      NDManager manager, FlatLayout layout, Map<String, double[]> values, ScalarType type) {
    float[] all = new float[Math.toIntExact(layout.elements())];
    for (FlatLayout.Entry entry : layout.entries()) {
      double[] source = values.get(entry.name());
      for (int i = 0; i < source.length; i++) {
        all[Math.toIntExact(entry.offset()) + i] = (float) source[i];
      }
    }
    this.flat = Operators.to(Tensor.of(manager, all, all.length), type);
  }

  @Override
  public Tensor view(NDManager manager, FlatLayout.Entry parameter) {
    long[] sizes = parameter.shape().stream().mapToLong(Long::longValue).toArray();
    return flat.view(manager, parameter.offset(), sizes);
  }
}
