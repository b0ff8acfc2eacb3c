package org.pretrain4j.configuration;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChecksTest {

  private static List<String> linesOf(Checks checks) {
    ConfigurationException thrown = assertThrows(ConfigurationException.class, checks::throwIfAny);
    return thrown.violations().stream().map(Violation::line).toList();
  }

  @Test
  void possibleValuesPass() {
    Checks checks = new Checks();
    checks.positive("a", 1).notNegative("b", 0).positive("c", 1e-9).notNegative("d", 0.0);
    checks.within("e", 0, 0, 1).notBlank("f", "x").present("g", "y").folderName("h", "run-1.b_c");
    assertDoesNotThrow(checks::throwIfAny);
  }

  @Test
  void everyViolationIsReportedInOneExceptionALineEach() {
    Checks checks = new Checks();
    checks.positive("steps", 0).within("beta1", 1.5, 0, 1).notBlank("path", " ");
    ConfigurationException thrown = assertThrows(ConfigurationException.class, checks::throwIfAny);
    assertEquals(
        """
        steps is 0, expected a whole number of at least 1
        beta1 is 1.5, expected a number from 0.0 to below 1.0
        path is " ", expected a text that is not empty""",
        thrown.getMessage());
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY})
  void aPositiveNumberIsFiniteAndAboveZero(double value) {
    assertEquals(
        List.of("lr is " + value + ", expected a finite number above 0"),
        linesOf(new Checks().positive("lr", value)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ".", "..", "a/b", "-x", "a b", "ä", "a\nb"})
  void namesThatAreUnsafeAsFoldersAreRefused(String name) {
    assertEquals(1, linesOf(new Checks().folderName("name", name)).size());
  }

  @Test
  void aMessageStaysOneShortLineWhateverTheValue() {
    String line = linesOf(new Checks().folderName("name", "a\n" + "b".repeat(500))).getFirst();
    assertEquals(1, line.lines().count());
    assertTrue(line.startsWith("name is \"a\\u000abbb"), line);
    assertTrue(line.length() < 300, line);
  }

  @Test
  void aCombinationIsNotEvaluatedWhereOneOfItsKeysIsWrongAlready() {
    int heads = 0;
    Checks checks = new Checks();
    checks.positive("heads", heads);
    checks.together(List.of("hidden", "heads"), () -> 8 % heads == 0, 8, "a multiple of heads");
    assertEquals(List.of("heads is 0, expected a whole number of at least 1"), linesOf(checks));
  }

  @Test
  void aCombinationInsideAMissingRecordIsNotEvaluated() {
    Checks checks = new Checks();
    checks.present("model", null);
    checks.together(
        List.of("model.head_dim"),
        () -> {
          throw new IllegalStateException("looked into a missing record");
        },
        1,
        "an even number");
    assertEquals(List.of("model is missing"), linesOf(checks));
  }

  @Test
  void aKeyThatOnlyStartsLikeAWrongOneIsStillChecked() {
    Checks checks = new Checks();
    checks.positive("head", 0);
    checks.together(List.of("head_dim"), () -> false, 3, "an even number");
    assertEquals(2, linesOf(checks).size());
  }
}
