package org.pretrain4j.checkpoints;

import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;

/** Cuts the ranges of a rank at the borders of the parameters and names the pieces. */
final class ShardPieces {
  private ShardPieces() {}

  /**
   * The tensors of a shard: for each kind, the pieces of the ranges in their order. A whole
   * parameter keeps its name and shape ({@code master/model.norm.weight}), a part of one is named
   * as a slice of its flattened elements ({@code master/model.norm.weight[0:32]}).
   */
  static List<TensorSpec> tensors(FlatLayout layout, List<FlatRange> ranges, List<String> kinds) {
    List<TensorSpec> tensors = new ArrayList<>();
    for (String kind : kinds) {
      for (FlatRange range : ranges) {
        addPieces(tensors, kind + "/", layout.entries(), range);
      }
    }
    return tensors;
  }

  private static void addPieces(
      List<TensorSpec> tensors, String prefix, List<FlatLayout.Entry> entries, FlatRange range) {
    long next = range.start();
    for (int index = entryAt(entries, next); next < range.end(); index++) {
      FlatLayout.Entry entry = entries.get(index);
      long end = Math.min(range.end(), entry.range().end());
      String name = prefix + entry.name();
      if (end - next == entry.elements()) {
        tensors.add(new TensorSpec(name, DType.F32, entry.shape()));
      } else {
        String slice = "[%d:%d]".formatted(next - entry.offset(), end - entry.offset());
        tensors.add(new TensorSpec(name + slice, DType.F32, List.of(end - next)));
      }
      next = end;
    }
  }

  /** Index of the entry that holds an element, by bisection. */
  private static int entryAt(List<FlatLayout.Entry> entries, long element) {
    int low = 0;
    int high = entries.size();
    while (high - low > 1) {
      int middle = (low + high) >>> 1;
      if (entries.get(middle).offset() <= element) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
