package org.pretrain4j.configuration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ConfigurationReaderTest {
  private static final String GOOD =
      """
      name: small
      step:
        tokens: 8_192
        length: 128
        rate: 2e-4
      """;

  private static Sample.Run parse(String text) {
    return ConfigurationReader.parse(Sample.Run.class, text, "run.yaml");
  }

  private static String errorOf(String text) {
    return assertThrows(ConfigurationException.class, () -> parse(text)).getMessage();
  }

  /** The error of the good text with one line replaced. */
  private static String errorOf(String key, String line) {
    return errorOf(GOOD.replaceFirst("(?m)^( *)" + key + ":.*$", "$1" + line));
  }

  @Test
  void defaultsAreUsedForWhatTheTextLeavesOut() {
    assertEquals(
        new Sample.Run(
            "small",
            6,
            new Sample.Step(8192, 128, 2e-4, Sample.Shape.LINEAR, true),
            new Sample.Extra(3, Optional.empty(), List.of(".*x.*")),
            List.of(),
            Map.of(),
            Optional.empty()),
        parse(GOOD));
  }

  @Test
  void everyTypeIsRead() {
    Sample.Run run =
        parse(
            """
            name: "2026"
            seed: -1
            folder: runs/x
            step: {tokens: 8T, length: 1K, rate: 3, shape: 1-sqrt, masking: false}
            extra:
              keep: 1
              limit: 2.36M
              patterns: [a, 'b']
            parts:
              - name: one
                sources: [b, a]
              - {name: two}
            weights: {b: 0.5, a: 1}
            """);
    assertEquals(
        new Sample.Step(8_000_000_000_000L, 1000, 3, Sample.Shape.ONE_MINUS_SQRT, false),
        run.step());
    assertEquals(new Sample.Extra(1, Optional.of(2_360_000L), List.of("a", "b")), run.extra());
    assertEquals(List.of("b", "a"), run.parts().getFirst().sources());
    assertEquals(List.of("b", "a"), List.copyOf(run.weights().keySet()), "order of the text");
    assertEquals(Optional.of("runs/x"), run.folder());
    assertEquals("2026", run.name());
    assertEquals(-1, run.seed());
  }

  @ParameterizedTest
  @CsvSource({
    "8192, 8192", "8_192, 8192", "25K, 25000", "2.36M, 2360000", "1B, 1000000000",
    "8T, 8000000000000", "1e6, 1000000", "1.5e3, 1500", "+5, 5", "0.0015M, 1500",
    "9223372036854775807, 9223372036854775807", "9.223372036854775807e18, 9223372036854775807"
  })
  void wholeNumbersMayBeWrittenForPeople(String text, long value) {
    Sample.Run run = parse("{name: a, seed: " + text + ", step: {tokens: 1, length: 1, rate: 1}}");
    assertEquals(value, run.seed());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "1.5",
        "2.3601234K",
        "ten",
        "8X",
        "8 T",
        "010",
        "0x10",
        "true",
        "[1]",
        "{a: 1}",
        "'12'",
        "1e",
        "8t",
        "--1",
        "1:30",
        "''",
        ".inf",
        ".nan",
        "2026-01-01",
        "1e-3"
      })
  void whatIsNoWholeNumberIsRefused(String text) {
    String error = errorOf("tokens", "tokens: " + text);
    assertEquals(1, error.lines().count(), error);
    assertEquals(
        true,
        error.startsWith("run.yaml:3: step.tokens is ")
            && error.contains("expected a whole number such as 4096, 8_000, 25K, 2.36M or 8T"),
        error);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "9223372036854775808",
        "10000000T",
        "1e19",
        "1e999",
        "1e999999",
        "-1e30",
        "99999999999999999999999999999999"
      })
  void wholeNumbersThatDoNotFitAreRefused(String text) {
    assertEquals(
        "run.yaml:3: step.tokens is "
            + text
            + ", expected a whole number from -9223372036854775808 to 9223372036854775807",
        errorOf("tokens", "tokens: " + text).replace("\"", ""));
  }

  @Test
  void anIntHasItsOwnRange() {
    assertEquals(
        "run.yaml:4: step.length is 3000000000, expected a whole number from -2147483648 to"
            + " 2147483647",
        errorOf("length", "length: 3000000000"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        ".nan",
        ".inf",
        "-.inf",
        "1e999",
        "1e-999",
        "nan",
        "fast",
        "'0.5'",
        "2K",
        "true",
        "1e9999999999"
      })
  void whatIsNoFiniteNumberIsRefused(String text) {
    String error = errorOf("rate", "rate: " + text);
    assertEquals(1, error.lines().count(), error);
    assertEquals(true, error.startsWith("run.yaml:5: step.rate is "), error);
    assertEquals(true, error.contains("expected a finite number such as 0.9, 3 or 2e-4"), error);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "name | name: 2026 | run.yaml:1: name is 2026, expected a text: put it in quotes",
        "name | name: yes | run.yaml:1: name is yes, expected a text: put it in quotes",
        "name | name: [a] | run.yaml:1: name is a list, expected a text",
        "name | name: | run.yaml:1: name has no value: give it one or delete the key",
        "name | name: a/b | run.yaml:1: name is \"a/b\", expected a name of at most 100 letters,"
            + " digits, '.', '_' and '-' that starts with none of . and -, since it names a folder",
        "rate | masking: 1 | run.yaml:5: step.masking is 1, expected true or false",
        "rate | masking: yes | run.yaml:5: step.masking is yes, expected true or false",
        "rate | masking: 'true' | run.yaml:5: step.masking is \"true\", expected true or false",
        "rate | shape: linea | run.yaml:5: step.shape is \"linea\", expected one of linear,"
            + " half-cosine, 1-sqrt; did you mean linear?",
        "rate | shape: LINEAR | run.yaml:5: step.shape is \"LINEAR\", expected one of linear,"
            + " half-cosine, 1-sqrt; did you mean linear?",
        "rate | shape: half_cosine | run.yaml:5: step.shape is \"half_cosine\", expected one of"
            + " linear, half-cosine, 1-sqrt; did you mean half-cosine?",
        "rate | shape: 3 | run.yaml:5: step.shape is 3, expected one of linear, half-cosine, 1-sqrt",
        "rate | rate: -1 | run.yaml:5: step.rate is -1.0, expected a finite number above 0",
        "tokens | tokens: 8191 | run.yaml:3: step.tokens is 8191, expected a multiple of length",
      })
  void aWrongValueIsNamedWithItsLineAndWhatWasExpected(String key, String line, String message) {
    String error = errorOf(key, line);
    assertEquals(message, error.lines().filter(l -> !l.contains("is missing")).toList().getFirst());
  }

  @Test
  void sectionsListsAndMapsMustBeWhatTheyAre() {
    assertEquals(
        """
        run.yaml:2: step is a list, expected keys with values: tokens, length, rate, shape, masking
        run.yaml:3: extra is 3, expected keys with values: keep, limit, patterns
        run.yaml:4: parts is a mapping, expected a list: write [a, b], or a line with '- ' for each element
        run.yaml:5: weights is a list, expected names with values: write name: value, a line each""",
        errorOf(
            """
            name: a
            step: [1]
            extra: 3
            parts: {a: 1}
            weights: [a]
            """));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "tokns: 1 | run.yaml:6: step.tokns is not a key; did you mean tokens?",
        "lenght: 1 | run.yaml:6: step.lenght is not a key; did you mean length?",
        "Rate: 1 | run.yaml:6: step.Rate is not a key; did you mean rate?",
        "learning_rate: 1 | run.yaml:6: step.learning_rate is not a key; did you mean rate?",
        "keep: 1 | run.yaml:6: step.keep is not a key; did you mean extra.keep?",
        "sources: 1 | run.yaml:6: step.sources is not a key; did you mean parts[0].sources?",
        "zzz: 1 | run.yaml:6: step.zzz is not a key; valid are length, masking, rate, shape, tokens",
      })
  void anUnknownKeyIsNamedWithTheNearestValidOne(String line, String message) {
    assertEquals(message, errorOf(GOOD + "  " + line + "\n"));
  }

  @Test
  void aMisspelledRequiredKeyIsOneMistakeAndNotTwo() {
    assertEquals(
        "run.yaml:4: step.lenght is not a key; did you mean length?",
        errorOf("length", "lenght: 128"));
  }

  @Test
  void aMissingKeyIsNamedAtTheSectionThatLacksIt() {
    assertEquals(
        """
        run.yaml:1: name is missing: add it (Name)
        run.yaml:2: step.length is missing: add it (Length)
        run.yaml:2: step.rate is missing: add it (Rate)""",
        errorOf(
            """
            seed: 1
            step:
              tokens: 1
            """));
  }

  @Test
  void everythingThatIsWrongIsReportedAtOnceInTheOrderOfTheFile() {
    assertEquals(
        """
        run.yaml:1: name is "..", expected a name of at most 100 letters, digits, '.', '_' and '-' that starts with none of . and -, since it names a folder
        run.yaml:2: sed is not a key; did you mean seed?
        run.yaml:4: step.tokens is -5, expected a whole number of at least 1
        run.yaml:5: step.length is "wide", expected a whole number such as 4096, 8_000, 25K, 2.36M or 8T
        run.yaml:6: step.rate is 0.0, expected a finite number above 0
        run.yaml:8: extra.limits is not a key; did you mean limit?
        run.yaml:9: extra.keep has no value: give it one or delete the key
        run.yaml:12: parts[1].sources[1] is 7, expected a text: put it in quotes
        run.yaml:13: weights.a is "heavy", expected a finite number such as 0.9, 3 or 2e-4""",
        errorOf(
            """
            name: ..
            sed: 1
            step:
              tokens: -5
              length: wide
              rate: 0
            extra:
              limits: 4
              keep:
            parts:
              - name: one
              - {name: two, sources: [a, 7]}
            weights: {a: heavy}
            """));
  }

  @Test
  void violationsBetweenSectionsAreReportedTogetherWithThoseInside() {
    assertEquals(
        """
        run.yaml:2: step.tokens is 0, expected a whole number of at least 1
        run.yaml:5: parts[1].sources names b, which has no weight""",
        errorOf(
            """
            name: a
            step: {tokens: 0, length: 1, rate: 1}
            parts:
              - {name: one, sources: [a]}
              - {name: two, sources: [b]}
            weights: {a: 1}
            """));
  }

  @Test
  void nothingIsConcludedFromAValueThatCouldNotBeRead() {
    assertEquals(
        "run.yaml:4: weights.a is \"x\", expected a finite number such as 0.9, 3 or 2e-4",
        errorOf(
            """
            name: a
            step: {tokens: 1, length: 1, rate: 1}
            parts: [{name: one, sources: [a]}]
            weights: {a: x}
            """));
  }

  @Test
  void aKeyThatIsGivenTwiceIsRefusedWithBothLines() {
    assertEquals(
        "run.yaml:6: step.rate is given twice, first at run.yaml:5: keep one",
        errorOf(GOOD + "  rate: 1\n"));
    assertEquals(
        "run.yaml:6: name is given twice, first at run.yaml:1: keep one",
        errorOf(GOOD + "name: other\n"));
  }

  @Test
  void onlyAnOptionalKeyMayBeNull() {
    assertEquals(Optional.empty(), parse(GOOD + "folder: null\n").folder());
    assertEquals(
        "run.yaml:6: seed has no value: give it one or delete the key",
        errorOf(GOOD + "seed: ~\n"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "\n\n", "# nothing\n", "---\n...\n"})
  void anEmptyTextIsOneClearLine(String text) {
    String error = errorOf(text);
    assertEquals(
        true, error.startsWith("run.yaml") && error.contains("expected keys with values"), error);
    assertEquals(1, error.lines().count());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "- a | run.yaml:1: is a list as a whole, expected keys with values",
        "hello | run.yaml:1: is \"hello\" as a whole, expected keys with values",
        "{name: a | run.yaml:1: is not valid YAML: while parsing a flow mapping: expected ',' or '}', but got <stream end>",
        "a: b: c | run.yaml:1: is not valid YAML: mapping values are not allowed here",
        "a: [1, } | run.yaml:1: is not valid YAML: while parsing a flow node: expected the node content, but found '}'",
        "? [a] : 1 | run.yaml:1: is not valid YAML",
      })
  void whatIsNoYamlOfKeysIsOneClearLine(String text, String message) {
    String error = errorOf(text);
    assertEquals(message, error.substring(0, Math.min(message.length(), error.length())));
    assertEquals(1, error.lines().count());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "name: *x | run.yaml:1: has an alias *x: repeat the value instead",
        "name: !!str 5 | run.yaml:1: has a tag !tag:yaml.org,2002:str: delete it",
      })
  void aliasesAndTagsAreRefused(String line, String message) {
    assertEquals(message, errorOf("name", line).lines().toList().getFirst());
  }

  @Test
  void aSecondDocumentIsRefused() {
    assertEquals(
        "run.yaml:7: has a second document here: keep one, without ---",
        errorOf(GOOD + "---\nname: b\n"));
  }

  @Test
  void aSyntaxErrorIsReportedAtItsLine() {
    String error = errorOf(GOOD + "extra: {keep: 1\nparts: []\n");
    assertEquals(true, error.startsWith("run.yaml:7: is not valid YAML"), error);
  }

  @Test
  void aTextNestedWithoutEndIsRefusedInOneLineWhateverTheStack() throws Exception {
    for (String text : List.of("[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000))) {
      FutureTask<String> reader = new FutureTask<>(() -> errorOf("parts: " + text));
      new Thread(null, reader, "a small stack", 256 << 10).start();
      String error = reader.get();
      assertEquals(true, error.startsWith("run.yaml:1: is not valid YAML: "), error);
      assertEquals(1, error.lines().count());
    }
  }
}
