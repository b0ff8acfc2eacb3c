package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.GradientSink;

/** Keeps the sums of a pass's gradients in float32, on the device of the pass. */
final class RecordedGradients implements GradientSink {
  private final NDManager manager;
  private final Map<FlatLayout.Entry, Tensor> sums = new LinkedHashMap<>();

  /**
   * @param manager on the device of the pass; owns the sums
   */
  RecordedGradients(NDManager manager) {
    this.manager = manager;
  }

  @Override
  public void add(FlatLayout.Entry parameter, Tensor gradient) {
    sum(parameter).addi(gradient);
  }

  @Override
  public Sum sumOf(FlatLayout.Entry parameter) {
    return new Sum(sum(parameter).alias(manager), false);
  }

  @Override
  public void partDone(int part) {}

  private Tensor sum(FlatLayout.Entry parameter) {
    long[] sizes = parameter.shape().stream().mapToLong(Long::longValue).toArray();
    return sums.computeIfAbsent(parameter, key -> Tensor.zeros(manager, ScalarType.FLOAT32, sizes));
  }

  /** Name and values of each, on the host. */
  void forEach(BiConsumer<String, float[]> action) {
    sums.forEach((parameter, sum) -> action.accept(parameter.name(), values(sum)));
  }

  /** Values of a float32 tensor, on the host. */
  static float[] values(Tensor tensor) {
    try (NDManager host = Managers.host()) {
      Tensor copy = Tensor.empty(host, ScalarType.FLOAT32, tensor.elements());
      copy.copyFrom(tensor.view(host, 0, tensor.elements()));
      return copy.segment().toArray(ValueLayout.JAVA_FLOAT);
    }
  }
}
