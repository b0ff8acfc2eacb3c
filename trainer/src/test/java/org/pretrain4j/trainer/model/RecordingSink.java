package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/** Keeps the sums of all gradients, and the order in which parts were done. */
public final class RecordingSink implements GradientSink {
  private final NDManager manager;
  private final Map<FlatLayout.Entry, Tensor> sums = new LinkedHashMap<>();
  private final List<Integer> partsDone = new ArrayList<>();

  public RecordingSink(NDManager manager) {
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
  public void partDone(int part) {
    partsDone.add(part);
  }

  private Tensor sum(FlatLayout.Entry parameter) {
    long[] sizes = parameter.shape().stream().mapToLong(Long::longValue).toArray();
    return sums.computeIfAbsent(parameter, key -> Tensor.zeros(manager, ScalarType.FLOAT32, sizes));
  }

  List<Integer> partsDone() {
    return partsDone;
  }

  /** Sums by name of the parameter. */
  public Map<String, double[]> gradients() {
    Map<String, double[]> gradients = new LinkedHashMap<>();
    sums.forEach(
        (entry, sum) -> {
          float[] floats = sum.segment().toArray(ValueLayout.JAVA_FLOAT);
          double[] doubles = new double[floats.length];
          for (int i = 0; i < floats.length; i++) {
            doubles[i] = floats[i];
          }
          gradients.put(entry.name(), doubles);
        });
    return gradients;
  }
}
