package org.pretrain4j.checkpoints;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/** A flat space with values that can be told from their position, saved by any number of ranks. */
final class SavedRun {
  static final List<String> KINDS = List.of("exp_avg", "exp_avg_sq", "master");

  private SavedRun() {}

  static FlatLayout layout(int... sizes) {
    List<FlatLayout.Parameter> parameters = new ArrayList<>();
    for (int i = 0; i < sizes.length; i++) {
      parameters.add(
          new FlatLayout.Parameter("model.layers." + i + ".weight", List.of(1L, (long) sizes[i])));
    }
    return FlatLayout.of(parameters);
  }

  /** Cuts the space into buckets and each bucket into a range for each rank. */
  static List<List<FlatRange>> ranges(long elements, long bucketElements, int worldSize) {
    List<List<FlatRange>> ranges = new ArrayList<>();
    for (int rank = 0; rank < worldSize; rank++) {
      ranges.add(new ArrayList<>());
    }
    for (long bucket = 0; bucket < elements; bucket += bucketElements) {
      long length = Math.min(bucketElements, elements - bucket);
      long share = Math.ceilDiv(length, (long) worldSize);
      for (int rank = 0; rank < worldSize; rank++) {
        long start = bucket + Math.min(length, rank * share);
        long end = bucket + Math.min(length, (rank + 1) * share);
        ranges.get(rank).add(new FlatRange(start, end));
      }
    }
    return ranges;
  }

  static float value(long step, String kind, long element) {
    return Float.intBitsToFloat(
        (int) ((element * 2654435761L + 31 * step + 1_000_003L * kind.hashCode()) & 0x7f7fffff));
  }

  static void save(CheckpointStore store, long step, FlatLayout layout, int worldSize) {
    save(store, step, layout, ranges(layout.elements(), 1000, worldSize), "a");
  }

  static void save(
      CheckpointStore store,
      long step,
      FlatLayout layout,
      List<List<FlatRange>> ranges,
      String attempt) {
    List<Integer> order = new ArrayList<>();
    for (int rank = 0; rank < ranges.size(); rank++) {
      order.add(rank);
    }
    Collections.shuffle(order, new Random(step));
    StagedCheckpoint[] staged = new StagedCheckpoint[ranges.size()];
    for (int rank : order) {
      staged[rank] = store.stage(step, attempt);
      staged[rank].writeShard(
          rank, ranges.size(), layout, ranges.get(rank), values(step, ranges.get(rank)));
    }
    staged[0].publish(ranges.size(), state(step));
  }

  static Map<String, MemorySegment> values(long step, List<FlatRange> ranges) {
    Map<String, MemorySegment> kinds = new TreeMap<>();
    long elements = ranges.stream().mapToLong(FlatRange::length).sum();
    for (String kind : KINDS) {
      MemorySegment segment = Arena.ofAuto().allocate(Float.BYTES * elements, 64);
      long next = 0;
      for (FlatRange range : ranges) {
        for (long element = range.start(); element < range.end(); element++) {
          segment.setAtIndex(ValueLayout.JAVA_FLOAT, next++, value(step, kind, element));
        }
      }
      kinds.put(kind, segment);
    }
    return kinds;
  }

  static Map<String, StateSource> sources(Map<String, MemorySegment> values) {
    Map<String, StateSource> sources = new TreeMap<>();
    values.forEach((kind, segment) -> sources.put(kind, StateSource.of(segment)));
    return sources;
  }

  static CheckpointState state(long step) {
    return CheckpointState.builder(step)
        .tokens(step * 4096)
        .stage("web")
        .tokensByDataset(Map.of("web", step * 4000, "math", step * 96))
        .seed(6)
        .counters(Map.of("skipped_steps", 2L))
        .spikeWindow(List.of(2.5, 1.0 / 3, Double.NaN, Double.POSITIVE_INFINITY))
        .configuration("name: test\nseed: 6\n")
        .versions(Map.of("java", Runtime.version().toString()))
        .build();
  }

  static void assertHolds(Checkpoint checkpoint, long step, List<FlatRange> ranges) {
    assertEquals(state(step), checkpoint.state());
    for (String kind : KINDS) {
      for (FlatRange range : ranges) {
        MemorySegment into = Arena.ofAuto().allocate(Float.BYTES * range.length(), 4);
        checkpoint.read(kind, range, into);
        for (long i = 0; i < range.length(); i++) {
          int expected = Float.floatToRawIntBits(value(step, kind, range.start() + i));
          int actual = into.getAtIndex(ValueLayout.JAVA_INT, i);
          if (expected != actual) {
            assertEquals(expected, actual, kind + " of element " + (range.start() + i));
          }
        }
      }
    }
  }

  static void assertHolds(Checkpoint checkpoint, long step) {
    assertHolds(checkpoint, step, List.of(new FlatRange(0, checkpoint.layout().elements())));
  }
}
