package org.pretrain4j.trainer.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * Hands blocks their parameters as fresh leaves over the one buffer of all parameters, so that the
 * gradients live only as long as the pass that they belong to.
 */
final class LeafParameters extends ParameterStore {
  private final ParameterStorage storage;
  private final Map<String, FlatLayout.Entry> entries;
  private final NDManager manager;
  private final Map<FlatLayout.Entry, Tensor> leaves = new LinkedHashMap<>();

  /**
   * @param manager owns the leaves
   */
  LeafParameters(
      NDManager manager, ParameterStorage storage, Map<String, FlatLayout.Entry> entries) {
    this.manager = manager;
    this.storage = storage;
    this.entries = entries;
  }

  static Map<String, FlatLayout.Entry> byName(FlatLayout layout) {
    Map<String, FlatLayout.Entry> entries = new HashMap<>();
    layout.entries().forEach(entry -> entries.put(entry.name(), entry));
    return Map.copyOf(entries);
  }

  @Override
  public NDArray getValue(Parameter parameter, Device device, boolean training) {
    FlatLayout.Entry entry = entries.get(parameter.getName());
    if (entry == null) {
      throw new IllegalStateException("the layout lacks " + parameter.getName());
    }
    return leaves.computeIfAbsent(
        entry,
        wanted -> {
          Tensor leaf = storage.view(manager, wanted);
          return training ? leaf.requireGradient() : leaf;
        });
  }

  /** Gives the gradients of all leaves that were handed out, and forgets the leaves. */
  void drainInto(GradientSink sink) {
    leaves.forEach(
        (entry, leaf) -> {
          try (Tensor gradient = leaf.gradient()) {
            sink.add(entry, gradient);
          }
          leaf.close();
        });
    leaves.clear();
  }
}
