package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.GradientSink;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterStorage;

/**
 * Parameters as matrices, neighbours joined to one where they share their input, and the way of
 * their gradients to the sink.
 */
final class Weights {
  /**
   * One matrix.
   *
   * @param parts the parameters that its rows belong to, in order
   * @param value {@code [out, in]}, a norm's weight as {@code [1, hidden]}
   */
  record Weight(List<FlatLayout.Entry> parts, Activation value) {}

  private final NDManager manager;
  private final ParameterStorage storage;
  private final Map<String, FlatLayout.Entry> entries = new HashMap<>();
  private final Map<List<Long>, Activation> gradients = new HashMap<>();

  /**
   * @param manager owns the views
   */
  Weights(NDManager manager, ParameterStorage storage, ModelLayout layout) {
    this.manager = manager;
    this.storage = storage;
    layout.parameters().entries().forEach(entry -> entries.put(entry.name(), entry));
  }

  FlatLayout.Entry entry(String name) {
    return entries.get(name);
  }

  /** The matrix whose rows are those of the named parameters, which lie side by side. */
  Weight of(String... names) {
    List<FlatLayout.Entry> parts = Arrays.stream(names).map(entries::get).toList();
    FlatLayout.Entry first = parts.getFirst();
    long columns = first.shape().getLast();
    long rows = 0;
    for (FlatLayout.Entry part : parts) {
      rows += part.elements() / columns;
    }
    FlatLayout.Entry whole =
        new FlatLayout.Entry(first.name(), List.of(rows, columns), first.offset());
    return new Weight(parts, Activation.of(storage.view(manager, whole)));
  }

  /** Scratch memory for the gradient of a weight, shared by all weights of the shape. */
  Activation gradientOf(Weight weight, ScalarType type) {
    long rows = weight.value().tensor().size(0);
    long columns = weight.value().tensor().size(1);
    return gradients.computeIfAbsent(
        List.of(rows, columns), shape -> Activation.allocate(manager, type, rows, columns));
  }

  /** Gives each part of a weight its rows of the gradient. */
  void deliver(Weight weight, Tensor gradient, GradientSink sink) {
    if (weight.parts().size() == 1) {
      sink.add(weight.parts().getFirst(), gradient);
      return;
    }
    long offset = 0;
    for (FlatLayout.Entry part : weight.parts()) {
      long[] shape = part.shape().stream().mapToLong(Long::longValue).toArray();
      try (Tensor rows = gradient.view(manager, offset, shape)) {
        sink.add(part, rows);
      }
      offset += part.elements();
    }
  }
}
