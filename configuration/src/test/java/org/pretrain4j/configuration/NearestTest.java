package org.pretrain4j.configuration;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NearestTest {
  private static final List<String> KEYS =
      List.of("hidden_size", "num_hidden_layers", "learning_rate", "seed", "model");

  @ParameterizedTest
  @CsvSource({
    "hiden_size, hidden_size",
    "hidden-size, hidden_size",
    "HiddenSize, hidden_size",
    "layers, num_hidden_layers",
    "learning_rat, learning_rate",
    "sede, seed",
    "modle, model",
    "base_learning_rate, learning_rate"
  })
  void theNameWithTheFewestEditsIsGuessed(String wrong, String right) {
    assertEquals(Optional.of(right), Nearest.to(wrong, KEYS));
  }

  @ParameterizedTest
  @CsvSource({"optimizer", "x", "''", "zzzzzz"})
  void aNameThatIsNearToNothingIsNotGuessed(String wrong) {
    assertEquals(Optional.empty(), Nearest.to(wrong, KEYS));
  }

  @Test
  void aNameOfAnyLengthIsComparedQuickly() {
    assertEquals(Optional.empty(), Nearest.to("x".repeat(1_000_000), KEYS));
  }

  @ParameterizedTest
  @CsvSource({"abc, abc, 0", "abc, '', 3", "kitten, sitting, 3", "ab, ba, 1", "abcd, acbd, 1"})
  void distanceCountsEditsAndAnExchangeOfNeighboursAsOne(String a, String b, int edits) {
    assertEquals(edits, Nearest.distance(a, b));
    assertEquals(edits, Nearest.distance(b, a));
  }
}
