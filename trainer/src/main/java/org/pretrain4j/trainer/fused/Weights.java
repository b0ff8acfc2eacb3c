package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterStorage;

/** Parameters as matrices, neighbours joined to one where they share their input. */
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
}
