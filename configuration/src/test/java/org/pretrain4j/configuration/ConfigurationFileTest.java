package org.pretrain4j.configuration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigurationFileTest {
  @TempDir Path folder;

  @BeforeEach
  void writeBase() throws IOException {
    write(
        "base.yaml",
        """
        name: small
        step:
          tokens: 8192
          length: 128
          rate: 2e-4
        parts:
          - {name: one, sources: [a]}
          - {name: two}
        weights: {a: 1}
        """);
  }

  private Path write(String name, String text) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, text);
  }

  private Sample.Run read(String name, String... settings) {
    return ConfigurationReader.read(Sample.Run.class, folder.resolve(name), List.of(settings));
  }

  private String errorOf(String name, String... settings) {
    return assertThrows(ConfigurationException.class, () -> read(name, settings))
        .getMessage()
        .replace(folder + "/", "");
  }

  @Test
  void aMissingFileAFolderAndAFileInAnotherEncodingAreOneClearLineEach() throws IOException {
    assertTrue(errorOf("no.yaml").startsWith("no.yaml: does not exist: check the path"));
    assertEquals(1, errorOf("no.yaml").lines().count());
    Files.createDirectory(folder.resolve("sub"));
    assertEquals("sub: is a folder, expected a YAML file", errorOf("sub"));
    Files.write(
        folder.resolve("latin.yaml"), "name: J\u00fcrgen".getBytes(StandardCharsets.ISO_8859_1));
    assertEquals("latin.yaml: is not a text in UTF-8: save it as UTF-8", errorOf("latin.yaml"));
    write("empty.yaml", "");
    assertEquals("empty.yaml: is empty, expected keys with values", errorOf("empty.yaml"));
    write("huge.yaml", "#".repeat(4 << 20));
    assertEquals(
        "huge.yaml: cannot be read: is larger than 3145728 bytes, so it is no configuration",
        errorOf("huge.yaml"));
  }

  @Test
  void aByteOrderMarkIsNoPartOfTheFirstKey() throws IOException {
    write("bom.yaml", "\uFEFF" + Files.readString(folder.resolve("base.yaml")));
    assertEquals(read("base.yaml"), read("bom.yaml"));
  }

  @Test
  void aFileExtendsAnotherMappingByMappingAndReplacesLists() throws IOException {
    write(
        "sub/child.yaml",
        """
        extends: ../base.yaml
        name: large
        step: {rate: 1e-4}
        parts: [{name: only}]
        weights: {b: 2}
        """);
    Sample.Run child = read("sub/child.yaml");
    assertEquals("large", child.name());
    assertEquals(new Sample.Step(8192, 128, 1e-4, Sample.Shape.LINEAR, true), child.step());
    assertEquals(List.of(new Sample.Part("only", List.of())), child.parts());
    assertEquals(List.of("a", "b"), List.copyOf(child.weights().keySet()));
  }

  @Test
  void everyViolationNamesTheFileThatSaysIt() throws IOException {
    write("bad.yaml", "extends: base.yaml\nstep: {tokens: -1}\nsed: 1\n");
    write("top.yaml", "# comment\nextends: bad.yaml\nname: x y\n");
    assertEquals(
        """
        bad.yaml:2: step.tokens is -1, expected a whole number of at least 1
        bad.yaml:3: sed is not a key; did you mean seed?
        top.yaml:3: name is "x y", expected a name of at most 100 letters, digits, '.', '_' and '-' that starts with none of . and -, since it names a folder""",
        errorOf("top.yaml").lines().sorted().reduce((a, b) -> a + "\n" + b).orElseThrow());
  }

  @Test
  void aCircleOfFilesIsRefused() throws IOException {
    write("a.yaml", "extends: b.yaml\n");
    write("b.yaml", "extends: a.yaml\n");
    write("self.yaml", "extends: self.yaml\n");
    assertEquals(
        "b.yaml:1: extends goes in a circle: a.yaml leads back to b.yaml", errorOf("a.yaml"));
    assertEquals(
        "self.yaml:1: extends goes in a circle: self.yaml leads back to self.yaml",
        errorOf("self.yaml"));
  }

  @Test
  void aFileThatCannotBeExtendedIsOneClearLine() throws IOException {
    write("a.yaml", "name: a\nextends: no.yaml\n");
    String missing = errorOf("a.yaml");
    assertTrue(missing.startsWith("a.yaml:2: extends no.yaml does not exist: check"), missing);
    assertEquals(1, missing.lines().count());
    write("b.yaml", "extends: [base.yaml]\n");
    assertEquals(
        "b.yaml:1: extends is a list, expected the path of another file", errorOf("b.yaml"));
    write("c.yaml", "extends: broken.yaml\n");
    write("broken.yaml", "name: [\n");
    assertTrue(errorOf("c.yaml").startsWith("broken.yaml:2: is not valid YAML"), errorOf("c.yaml"));
  }

  @Test
  void settingsOverrideTheFileInOrder() {
    Sample.Run run =
        read(
            "base.yaml",
            "step.rate=0.5",
            "name=other",
            "extra.limit=8K",
            "parts.1.name=second",
            "parts[0].sources=[a, a]",
            "weights.b=2",
            "step.rate = 0.25",
            "folder=a=b");
    assertEquals(0.25, run.step().rate());
    assertEquals("other", run.name());
    assertEquals(Optional.of(8000L), run.extra().limit());
    assertEquals("second", run.parts().get(1).name());
    assertEquals(List.of("a", "a"), run.parts().getFirst().sources());
    assertEquals(2.0, run.weights().get("b"));
    assertEquals(Optional.of("a=b"), run.folder());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "step.rat=1 | step.rat is not a key; did you mean rate?",
        "stp.rate=1 | stp is not a key; did you mean step?",
        "step.rate=fast | step.rate is \"fast\", expected a finite number such as 0.9, 3 or 2e-4",
        "step.rate=-1 | step.rate is -1.0, expected a finite number above 0",
        "step.rate= | step.rate has no value: give it one or delete the key",
        "step.rate | is not of the form path.to.key=value",
        "=1 | is not of the form path.to.key=value",
        "step..rate=1 | is not of the form path.to.key=value",
        "name.first=a | name is a mapping, expected a text",
        "parts.2.name=a | parts is a list of 2 elements, which are counted from 0; \"2\" is none of them",
        "parts.x.name=a | parts is a list of 2 elements, which are counted from 0; \"x\" is none of them",
        "step.rate=[1 | is not valid YAML: while parsing a flow sequence: expected ',' or ']', but got <stream end>",
        "step.tokens=100 | step.tokens is 100, expected a multiple of length",
      })
  void aWrongSettingIsReportedByItsName(String setting, String problem) {
    assertEquals("--set " + setting + ": " + problem, errorOf("base.yaml", setting));
  }

  @Test
  void settingsAndFilesAreReportedTogether() throws IOException {
    write("bad.yaml", "extends: base.yaml\nsed: 1\n");
    assertEquals(
        List.of(
            "--set step.rat=1:99999999999: step.rat is not a key; did you mean rate?",
            "bad.yaml:2: sed is not a key; did you mean seed?"),
        errorOf("bad.yaml", "step.rat=1:99999999999").lines().sorted().toList());
  }
}
