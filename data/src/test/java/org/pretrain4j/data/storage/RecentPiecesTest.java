package org.pretrain4j.data.storage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class RecentPiecesTest {
  private final RecentPieces pieces = new RecentPieces(100);

  @Test
  void theLeastRecentlyUsedMakesRoomBeforeAnotherIsWritten() {
    for (String key : List.of("a", "b", "c", "a")) {
      assertEquals(List.of(), pieces.used(key, 30));
    }
    assertEquals(Optional.of(List.of("b")), pieces.reserve(40));
    assertEquals(60, pieces.bytes());
    assertEquals(List.of(), pieces.written("d", 40));
    assertEquals(100, pieces.bytes());
    assertFalse(pieces.contains("b"));
    assertTrue(pieces.contains("c"));
  }

  @Test
  void whatIsBeingWrittenKeepsItsRoomUntilItFails() {
    assertEquals(Optional.of(List.of()), pieces.reserve(60));
    assertEquals(Optional.empty(), pieces.reserve(50));
    assertEquals(List.of("other"), pieces.used("other", 50), "found, but there is no room for it");
    assertEquals(0, pieces.bytes());
    pieces.notWritten(60);
    assertEquals(Optional.of(List.of()), pieces.reserve(50));
    assertEquals(List.of(), pieces.written("mine", 50));
    assertEquals(List.of(), pieces.used("mine", 50), "counted once");
    assertEquals(50, pieces.bytes());
  }

  @Test
  void whatIsWrittenWhileSomebodyLooksStaysKnown() {
    pieces.used("before", 20);
    pieces.look();
    pieces.reserve(30);
    pieces.written("meanwhile", 30);
    pieces.used("lost", 10);
    pieces.remove("lost");
    assertEquals(List.of(), pieces.found(Map.of("before", 20L)));
    assertEquals(50, pieces.bytes());
    pieces.look();
    assertEquals(List.of(), pieces.found(Map.of("before", 20L)));
    assertEquals(20, pieces.bytes(), "it was there to be found this time");
  }

  @Test
  void whatWasFoundReplacesWhatWasKnownWithinTheBound() {
    pieces.used("old", 50);
    Map<String, Long> found = new LinkedHashMap<>();
    found.put("first", 40L);
    found.put("second", 40L);
    found.put("third", 40L);
    pieces.look();
    assertEquals(List.of("first"), pieces.found(found));
    assertEquals(80, pieces.bytes());
    pieces.remove("second");
    pieces.remove("second");
    assertEquals(40, pieces.bytes());
  }
}
