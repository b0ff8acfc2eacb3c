package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.pretrain4j.configuration.ConfigurationException;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.configuration.Violation;

/** Whatever is done to a file, it is a run or it is refused with a message; nothing else. */
class ConfigurationFuzzTest {
  private static final int ROUNDS = Integer.getInteger("fuzz.rounds", 400);
  private static final long SEED = Long.getLong("fuzz.seed", 20260102);
  private static final List<String> VALUES =
      List.of(
          "0",
          "-1",
          "1",
          "2147483647",
          "9223372036854775807",
          "-9223372036854775808",
          "8T",
          "1e18",
          "1e-320",
          ".nan",
          "-.inf",
          "1e999999",
          "null",
          "~",
          "true",
          "no",
          "\"\"",
          "''",
          "[]",
          "{}",
          "[[]]",
          "{a: {b: c}}",
          "[null]",
          "{null: null}",
          "- a",
          "&a b",
          "*a",
          "!!int x",
          "|",
          ">-",
          "\u4e2d",
          "a/../b",
          "%",
          "@",
          "`",
          "? a",
          "1-sqrt",
          "cosine",
          "2024-01-01",
          "0x7f",
          "0o7",
          "1:2:3",
          "{web: 1, web: 2}",
          "\"\\u0000\"",
          "extends",
          "<<");

  private record Outcomes(List<String> accepted, List<String> refused) {}

  @Test
  void aMutatedFileIsARunOrIsRefusedWithAMessage() throws IOException {
    SplittableRandom random = new SplittableRandom(SEED);
    Outcomes outcomes = new Outcomes(new ArrayList<>(), new ArrayList<>());
    for (int round = 0; round < ROUNDS; round++) {
      Path file = pick(random, ShippedConfigurationsTest.files());
      String text = Files.readString(file);
      for (int k = random.nextInt(3); k >= 0; k--) {
        text = mutate(random, text);
      }
      String mutated = text;
      check(
          mutated,
          outcomes,
          () -> ConfigurationReader.parse(RunConfig.class, mutated, "fuzz.yaml"));
    }
    assertFalse(outcomes.accepted().isEmpty(), "seed " + SEED + ": nothing was accepted");
    assertFalse(outcomes.refused().isEmpty(), "seed " + SEED + ": nothing was refused");
  }

  @Test
  void aRandomSettingIsARunOrIsRefusedWithAMessage() throws IOException {
    SplittableRandom random = new SplittableRandom(SEED + 1);
    Path file = Path.of("..", "configs", "quickstart.yaml");
    List<String> keys = keysOf(Files.readString(file));
    Outcomes outcomes = new Outcomes(new ArrayList<>(), new ArrayList<>());
    for (int round = 0; round < ROUNDS; round++) {
      StringBuilder path = new StringBuilder(pick(random, keys));
      while (random.nextInt(3) == 0) {
        path.append('.').append(random.nextBoolean() ? pick(random, keys) : "" + random.nextInt(4));
      }
      String setting = path + (random.nextInt(20) == 0 ? "" : "=") + pick(random, VALUES);
      check(
          setting,
          outcomes,
          () -> ConfigurationReader.read(RunConfig.class, file, List.of("seed=7", setting)));
    }
    assertFalse(outcomes.accepted().isEmpty(), "seed " + (SEED + 1) + ": nothing was accepted");
    assertFalse(outcomes.refused().isEmpty(), "seed " + (SEED + 1) + ": nothing was refused");
  }

  private static void check(String what, Outcomes outcomes, Supplier<RunConfig> read) {
    try {
      RunConfig run = read.get();
      outcomes.accepted().add(what);
      assertTrue(run.totalSteps() > 0 && run.totalTokens() > 0);
      String resolved = ConfigurationWriter.toYaml(run);
      assertEquals(run, ConfigurationReader.parse(RunConfig.class, resolved, "resolved.yaml"));
    } catch (ConfigurationException e) {
      outcomes.refused().add(what);
      assertFalse(e.violations().isEmpty());
      for (Violation violation : e.violations()) {
        assertFalse(violation.problem().isBlank(), what);
        assertFalse(violation.where().isBlank(), violation.line());
      }
      assertEquals(e.violations().size(), e.getMessage().lines().count(), e.getMessage());
    } catch (RuntimeException | StackOverflowError e) {
      throw new AssertionError("seed " + SEED + " broke the reader with:\n" + what, e);
    }
  }

  private static String mutate(SplittableRandom random, String text) {
    List<String> lines = new ArrayList<>(text.lines().toList());
    int at = random.nextInt(lines.size());
    String line = lines.get(at);
    int colon = line.indexOf(':');
    switch (random.nextInt(9)) {
      case 0 -> lines.remove(at);
      case 1 -> lines.add(at, line);
      case 2 -> lines.set(at, " ".repeat(random.nextInt(4)) + line);
      case 3 -> lines.set(at, line.substring(0, random.nextInt(line.length() + 1)));
      case 4 -> lines.add(random.nextInt(lines.size()), line);
      case 5 -> {
        if (colon >= 0) {
          lines.set(
              at,
              line.substring(0, colon + 2 > line.length() ? colon + 1 : colon + 2)
                  + pick(random, VALUES));
        }
      }
      case 6 -> {
        int cut = random.nextInt(line.length() + 1);
        lines.set(at, line.substring(0, cut) + anyCharacter(random) + line.substring(cut));
      }
      case 7 -> {
        if (!line.isEmpty()) {
          int cut = random.nextInt(line.length());
          lines.set(at, line.substring(0, cut) + line.substring(cut + 1));
        }
      }
      default -> {
        List<String> keys = keysOf(text);
        lines.set(at, line.replaceFirst("[a-z_]+:", pick(random, keys) + ":"));
      }
    }
    return lines.isEmpty() ? "" : String.join("\n", lines) + "\n";
  }

  private static String anyCharacter(SplittableRandom random) {
    String special = "{}[]:,#&*!|>%@`'\"\\-? \t\n0_.eK\u0000\uFFFF\uD800";
    return random.nextInt(4) == 0
        ? Character.toString((char) random.nextInt(0x3000))
        : String.valueOf(special.charAt(random.nextInt(special.length())));
  }

  private static List<String> keysOf(String text) {
    return text.lines()
        .map(line -> line.strip().replaceFirst("^- \\{", ""))
        .filter(line -> line.matches("[a-z_]+:.*"))
        .map(line -> line.substring(0, line.indexOf(':')))
        .distinct()
        .toList();
  }

  private static <X> X pick(SplittableRandom random, List<X> choices) {
    return choices.get(random.nextInt(choices.size()));
  }
}
