package org.pretrain4j.checkpoints;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Compares two checkpoints, whatever the number of ranks that wrote them, bit by bit. */
public final class CheckpointDiff {
  private static final long PIECE_ELEMENTS = 1 << 20;

  private CheckpointDiff() {}

  /**
   * The values of one parameter differ.
   *
   * @param kind kind of the values
   * @param parameter name of the parameter
   * @param differing number of elements whose bits differ
   * @param elements number of all its elements
   * @param largest largest absolute difference; NaN if one side is not a number
   */
  public record TensorDifference(
      String kind, String parameter, long differing, long elements, double largest) {}

  /**
   * All differences.
   *
   * @param structure parameters or kinds that only one side has, or that differ in shape
   * @param state the fields of the state that differ, with both values
   * @param tensors the parameters whose values differ
   */
  public record Differences(
      List<String> structure, Map<String, List<String>> state, List<TensorDifference> tensors) {
    /** Whether both are the same in everything. */
    public boolean none() {
      return structure.isEmpty() && state.isEmpty() && tensors.isEmpty();
    }
  }

  /**
   * Compares all values of all kinds, reading a few megabytes at a time.
   *
   * @throws DamagedCheckpointException if one of them is damaged
   */
  public static Differences compare(Checkpoint left, Checkpoint right) {
    List<String> structure = new ArrayList<>();
    Map<String, FlatLayout.Entry> rightEntries = new LinkedHashMap<>();
    right.layout().entries().forEach(entry -> rightEntries.put(entry.name(), entry));
    List<FlatLayout.Entry> common = new ArrayList<>();
    for (FlatLayout.Entry entry : left.layout().entries()) {
      FlatLayout.Entry other = rightEntries.remove(entry.name());
      if (other == null) {
        structure.add("only the first has the parameter " + entry.name());
      } else if (!other.shape().equals(entry.shape())) {
        structure.add(
            "%s has the shape %s in the first and %s in the second"
                .formatted(entry.name(), entry.shape(), other.shape()));
      } else {
        common.add(entry);
      }
    }
    rightEntries
        .keySet()
        .forEach(name -> structure.add("only the second has the parameter " + name));
    Set<String> kinds = new HashSet<>(left.kinds());
    kinds.addAll(right.kinds());
    for (String kind : kinds.stream().sorted().toList()) {
      if (!left.kinds().contains(kind) || !right.kinds().contains(kind)) {
        structure.add(
            "only the %s has %s".formatted(left.kinds().contains(kind) ? "first" : "second", kind));
      }
    }
    return new Differences(
        structure, compareStates(left.state(), right.state()), compareValues(left, right, common));
  }

  private static Map<String, List<String>> compareStates(
      CheckpointState left, CheckpointState right) {
    Map<String, List<String>> differences = new LinkedHashMap<>();
    compare(differences, "step", left.step(), right.step());
    compare(differences, "tokens", left.tokens(), right.tokens());
    compare(differences, "stage", left.stage(), right.stage());
    compare(differences, "tokens_by_dataset", left.tokensByDataset(), right.tokensByDataset());
    compare(differences, "dataset_checksums", left.datasetChecksums(), right.datasetChecksums());
    compare(differences, "data_changes", left.dataChanges(), right.dataChanges());
    compare(differences, "seed", left.seed(), right.seed());
    compare(differences, "counters", left.counters(), right.counters());
    compare(differences, "spike_window", left.spikeWindow(), right.spikeWindow());
    compare(differences, "configuration", left.configuration(), right.configuration());
    compare(differences, "versions", left.versions(), right.versions());
    return differences;
  }

  private static void compare(
      Map<String, List<String>> differences, String field, Object left, Object right) {
    if (!left.equals(right)) {
      differences.put(field, List.of(left.toString(), right.toString()));
    }
  }

  private static List<TensorDifference> compareValues(
      Checkpoint left, Checkpoint right, List<FlatLayout.Entry> common) {
    Map<String, Long> rightOffsets = new LinkedHashMap<>();
    right.layout().entries().forEach(entry -> rightOffsets.put(entry.name(), entry.offset()));
    float[] leftValues = new float[(int) PIECE_ELEMENTS];
    float[] rightValues = new float[(int) PIECE_ELEMENTS];
    List<TensorDifference> differences = new ArrayList<>();
    for (String kind : left.kinds()) {
      if (!right.kinds().contains(kind)) {
        continue;
      }
      for (FlatLayout.Entry entry : common) {
        long differing = 0;
        double largest = 0;
        for (long from = 0; from < entry.elements(); from += PIECE_ELEMENTS) {
          int length = (int) Math.min(PIECE_ELEMENTS, entry.elements() - from);
          read(left, kind, entry.offset() + from, leftValues, length);
          read(right, kind, rightOffsets.get(entry.name()) + from, rightValues, length);
          for (int i = 0; i < length; i++) {
            if (Float.floatToRawIntBits(leftValues[i]) != Float.floatToRawIntBits(rightValues[i])) {
              differing++;
              largest = Math.max(largest, Math.abs((double) leftValues[i] - rightValues[i]));
            }
          }
        }
        if (differing > 0) {
          differences.add(
              new TensorDifference(kind, entry.name(), differing, entry.elements(), largest));
        }
      }
    }
    return differences;
  }

  private static void read(
      Checkpoint checkpoint, String kind, long start, float[] into, int length) {
    checkpoint.read(
        kind,
        new FlatRange(start, start + length),
        MemorySegment.ofArray(into).asSlice(0, (long) length * Float.BYTES));
  }
}
