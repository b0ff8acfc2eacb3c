package org.pretrain4j.trainer.parallel.faults;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class CulpritsTest {
  private static final long NOW = 1_000_000;

  private static FlightRecord record(int rank, long collectives, boolean waiting, long silent) {
    return new FlightRecord(
        rank,
        1,
        100 + rank,
        12,
        "forward",
        collectives,
        "barrier()",
        waiting,
        NOW - 40_000,
        NOW - silent);
  }

  private static Culprits find(int worldSize, FlightRecord... records) {
    Map<Integer, FlightRecord> byRank = new HashMap<>();
    for (FlightRecord record : records) {
      byRank.put(record.rank(), record);
    }
    return Culprits.find(byRank, worldSize, Duration.ofSeconds(10), NOW);
  }

  @Test
  void aRankThatComputesWhileAllWaitForItIsNamed() {
    Culprits culprits =
        find(3, record(0, 58, true, 500), record(1, 57, false, 500), record(2, 58, true, 500));
    assertEquals(
        "rank 1 has not gone on for 40 s (step 12, forward, 57 collectives begun, last barrier())",
        culprits.toString());
    assertEquals(1, culprits.first());
  }

  @Test
  void aFrozenOrSilentRankComesFirst() {
    Culprits culprits = find(3, record(0, 58, true, 500), record(1, 58, true, 20_000));
    assertEquals(
        "rank 1 has been frozen for 20 s (step 12, forward, waiting in collective #57 barrier());"
            + " rank 2 has given no sign of life",
        culprits.toString());
  }

  @Test
  void ofRanksThatAllWaitThoseBehindAreNamed() {
    assertEquals(
        2, find(3, record(0, 58, true, 0), record(1, 58, true, 0), record(2, 55, true, 0)).first());
  }

  @Test
  void nobodyIsNamedWithoutEvidence() {
    assertTrue(find(2, record(0, 58, true, 0), record(1, 58, true, 0)).isEmpty());
  }
}
