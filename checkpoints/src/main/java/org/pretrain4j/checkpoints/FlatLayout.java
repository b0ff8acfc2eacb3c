package org.pretrain4j.checkpoints;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Where each parameter lies in the one flat space that model, optimizer, checkpoints and resharding
 * share: parameters in order, without holes.
 *
 * @param entries parameters in the order of their offsets
 */
public record FlatLayout(List<Entry> entries) {

  /**
   * One parameter.
   *
   * @param name its name in the Hugging Face convention, such as {@code model.norm.weight}
   * @param shape its sizes, outermost first
   * @param offset index of its first element in the flat space
   */
  public record Entry(String name, List<Long> shape, long offset) {
    public Entry {
      shape = List.copyOf(shape);
      for (long size : shape) {
        if (size <= 0) {
          throw new IllegalArgumentException(name + " has the impossible shape " + shape);
        }
      }
    }

    /** Number of elements. */
    public long elements() {
      long product = 1;
      for (long size : shape) {
        product = Math.multiplyExact(product, size);
      }
      return product;
    }

    /** The elements of this parameter in the flat space. */
    public FlatRange range() {
      return new FlatRange(offset, offset + elements());
    }
  }

  /** A name and a shape that still lack an offset. */
  public record Parameter(String name, List<Long> shape) {}

  public FlatLayout {
    entries = List.copyOf(entries);
    Set<String> names = new HashSet<>();
    long next = 0;
    for (Entry entry : entries) {
      if (!names.add(entry.name())) {
        throw new IllegalArgumentException("the parameter " + entry.name() + " appears twice");
      }
      if (entry.offset() != next) {
        throw new IllegalArgumentException(
            entry.name() + " starts at " + entry.offset() + " instead of " + next);
      }
      next = entry.range().end();
    }
  }

  /** Lays the parameters out one after the other. */
  public static FlatLayout of(List<Parameter> parameters) {
    List<Entry> entries = new ArrayList<>();
    long offset = 0;
    for (Parameter parameter : parameters) {
      Entry entry = new Entry(parameter.name(), parameter.shape(), offset);
      entries.add(entry);
      offset = entry.range().end();
    }
    return new FlatLayout(entries);
  }

  /** Number of elements of all parameters together. */
  public long elements() {
    return entries.isEmpty() ? 0 : entries.getLast().range().end();
  }
}
