package org.pretrain4j.trainer.parallel.faults;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * Who keeps the others waiting, as far as the records tell.
 *
 * @param reasons by rank, in ascending order; empty if the records don't tell
 */
public record Culprits(Map<Integer, String> reasons) {
  public Culprits {
    reasons = new TreeMap<>(reasons);
  }

  /**
   * Looks for ranks that show no sign of life; else for those that are behind all others in their
   * collectives and wait for nobody; else for those that are behind.
   *
   * @param records of the ranks that have written one
   * @param silence after which a rank without a new record counts as frozen
   * @param nowMillis milliseconds since 1970
   */
  public static Culprits find(
      Map<Integer, FlightRecord> records, int worldSize, Duration silence, long nowMillis) {
    Map<Integer, String> found = new TreeMap<>();
    for (int rank = 0; rank < worldSize; rank++) {
      FlightRecord record = records.get(rank);
      if (record == null) {
        found.put(rank, "rank " + rank + " has given no sign of life");
      } else if (nowMillis - record.beatMillis() > silence.toMillis()) {
        found.put(
            rank,
            "rank %d has been frozen for %.0f s (%s)"
                .formatted(rank, (nowMillis - record.beatMillis()) / 1000.0, record.where()));
      }
    }
    if (!found.isEmpty()) {
      return new Culprits(found);
    }
    List<FlightRecord> busy =
        records.values().stream().filter(record -> !record.waiting()).toList();
    List<FlightRecord> candidates = busy.isEmpty() ? List.copyOf(records.values()) : busy;
    long least = candidates.stream().mapToLong(FlightRecord::collectives).min().orElse(0);
    List<FlightRecord> behind =
        candidates.stream().filter(record -> record.collectives() == least).toList();
    if (behind.size() < worldSize) {
      behind.forEach(record -> found.put(record.rank(), stuck(record, nowMillis)));
    }
    return new Culprits(found);
  }

  private static String stuck(FlightRecord record, long nowMillis) {
    return "rank %d has not gone on for %.0f s (%s)"
        .formatted(record.rank(), (nowMillis - record.sinceMillis()) / 1000.0, record.where());
  }

  public boolean isEmpty() {
    return reasons.isEmpty();
  }

  /** The rank to name first; -1 if unknown. */
  public int first() {
    return reasons.isEmpty() ? -1 : reasons.keySet().iterator().next();
  }

  /** One line. */
  @Override
  public String toString() {
    if (reasons.isEmpty()) {
      return "all ranks are at the same place, so the records name none";
    }
    String named = reasons.values().stream().limit(4).collect(Collectors.joining("; "));
    return reasons.size() > 4 ? named + "; and " + (reasons.size() - 4) + " more" : named;
  }
}
