package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class HumanUnitsTest {
  @Test
  void bytesHaveThreeDigits() {
    assertEquals("0 bytes", HumanUnits.bytes(0));
    assertEquals("999 bytes", HumanUnits.bytes(999));
    assertEquals("1.00 kB", HumanUnits.bytes(999.6));
    assertEquals("6.15 GB", HumanUnits.bytes(6_150_197_248.0));
    assertEquals("85.5 GB", HumanUnits.bytes(85_520_809_984.0));
    assertEquals("100 MB", HumanUnits.bytes(99_960_000));
    assertEquals("5000 PB", HumanUnits.bytes(5e18));
  }

  @Test
  void countsHaveTheirFieldsUnits() {
    assertEquals("7", HumanUnits.count(7));
    assertEquals("2.36M", HumanUnits.count(2_359_296));
    assertEquals("3.08B", HumanUnits.count(3_075_098_624.0));
    assertEquals("11.1T", HumanUnits.count(11.136e12));
    assertEquals("2,359,296", HumanUnits.exact(2_359_296));
  }

  @Test
  void timesHaveTheirTwoLargestUnits() {
    assertEquals("0s", HumanUnits.time(Duration.ofMillis(400)));
    assertEquals("12s", HumanUnits.time(Duration.ofMillis(11_700)));
    assertEquals("1m 0s", HumanUnits.time(Duration.ofMillis(59_600)));
    assertEquals("3m 20s", HumanUnits.time(Duration.ofSeconds(200)));
    assertEquals("2h 5m", HumanUnits.time(Duration.ofSeconds(7_512)));
    assertEquals("24d 9h", HumanUnits.time(Duration.ofHours(24 * 24 + 9)));
  }
}
