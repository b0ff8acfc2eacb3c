package org.pretrain4j.data.curation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;

class CurationTest {
  private static final long SEED = 23;

  @TempDir Path folder;

  private List<DocumentInput> inputs(String... texts) throws Exception {
    for (int i = 0; i < texts.length; i++) {
      Files.writeString(folder.resolve(String.format("%04d.txt", i)), texts[i]);
    }
    return TextInputs.find(Fixtures.STORAGE, List.of(folder.toString()), TextFormat.TEXT, "text");
  }

  private static List<String> read(CurationResult result) throws Exception {
    List<String> texts = new ArrayList<>();
    for (DocumentInput input : result.inputs()) {
      try (DocumentReader reader = input.open()) {
        for (Document d = reader.next(); d != null; d = reader.next()) {
          texts.add(d.text());
        }
      }
    }
    return texts;
  }

  private static Curation rules(QualityRules rules) {
    return new Curation(rules, false, Optional.empty());
  }

  private static String words(Random random, int count) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < count; i++) {
      text.append("w").append(random.nextInt(5000)).append(i % 12 == 11 ? ".\n" : " ");
    }
    return text.toString();
  }

  /** Replaces a share of the words. */
  private static String changed(Random random, String text, double share) {
    String[] words = text.split(" ");
    for (int i = 0; i < words.length; i++) {
      if (random.nextDouble() < share) {
        words[i] = "new" + random.nextInt(5000);
      }
    }
    return String.join(" ", words);
  }

  @Test
  void eachRuleDropsWhatBreaksIt() throws Exception {
    String good = "A good sentence with letters. ";
    List<DocumentInput> inputs =
        inputs(
            good,
            "short",
            good.repeat(50),
            "the same line\n".repeat(9) + "another line",
            "#### ---- **** ==== !!!! ???? ((((",
            "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440, \u043a\u0430\u043a \u0434\u0435\u043b\u0430");
    CurationResult result =
        rules(new QualityRules(10, 1000, 0.3, 0.5, 0.5, Optional.of(Character.UnicodeScript.LATIN)))
            .decide(inputs);
    assertEquals(List.of(good), read(result));
    assertEquals(1, result.report().kept());
    List<DropReason> reasons =
        List.of(
            DropReason.TOO_SHORT,
            DropReason.TOO_LONG,
            DropReason.REPETITIVE,
            DropReason.FEW_LETTERS,
            DropReason.OTHER_SCRIPT);
    assertEquals(reasons, List.copyOf(result.report().dropped().keySet()));
    for (DropReason reason : reasons) {
      assertEquals(1, result.report().dropped().get(reason).documents(), reason.name());
    }
    assertTrue(result.report().toString().contains("TOO_SHORT: dropped 1 documents, 5 characters"));
    assertTrue(result.report().toString().contains("0001.txt"));
  }

  @Test
  void noRulesDropNothing() throws Exception {
    assertEquals(3, read(rules(QualityRules.none()).decide(inputs("a", "-", "b\nb\nb"))).size());
  }

  @Test
  void ofTheSameTextTheFirstStays() throws Exception {
    List<DocumentInput> inputs = inputs("one", "two", "one", "three", "two", "one");
    CurationResult result =
        new Curation(QualityRules.none(), true, Optional.empty()).decide(inputs);
    assertEquals(List.of("one", "two", "three"), read(result));
    assertEquals(3, result.report().dropped().get(DropReason.DUPLICATE).documents());
  }

  @Test
  void nearDuplicatesAreFoundAndDifferentTextsKept() throws Exception {
    Random random = new Random(SEED);
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      texts.add(words(random, 300));
    }
    List<String> originals = List.copyOf(texts);
    for (int i = 0; i < 60; i++) {
      // A changed word changes five runs: 1% of the words leaves a similarity of about 0.9.
      texts.add(changed(random, originals.get(i), i < 30 ? 0.01 : 0.3));
    }
    CurationResult result =
        new Curation(QualityRules.none(), true, Optional.of(NearDuplicates.defaults()))
            .decide(inputs(texts.toArray(String[]::new)));
    List<String> kept = read(result);
    assertTrue(kept.containsAll(originals), "seed " + SEED);
    assertTrue(kept.containsAll(texts.subList(90, 120)), "seed " + SEED);
    long dropped = 120 - kept.size();
    assertTrue(dropped >= 26, "seed " + SEED + ": dropped only " + dropped + " of 30");
  }

  @Test
  void theEstimatedSimilarityIsTheTrueOne() {
    Random random = new Random(SEED);
    Sketcher sketcher = new NearDuplicates(1, 64, 8, 0.5).sketcher();
    String text = words(random, 1000);
    String other = changed(random, text, 0.2);
    var a = new HashSet<>(Arrays.asList(text.replaceAll("\\W+", " ").split(" ")));
    var b = new HashSet<>(Arrays.asList(other.replaceAll("\\W+", " ").split(" ")));
    var both = new HashSet<>(a);
    both.retainAll(b);
    double jaccard = (double) both.size() / (a.size() + b.size() - both.size());
    byte[] first = sketcher.signature(text);
    byte[] second = sketcher.signature(other);
    int equal = 0;
    for (int i = 0; i < first.length; i += 2) {
      equal += first[i] == second[i] && first[i + 1] == second[i + 1] ? 1 : 0;
    }
    assertEquals(jaccard, equal / (first.length / 2.0), 0.07, "seed " + SEED);
  }

  @Test
  void impossibleLimitsAreRefused() {
    assertThrows(UserException.class, () -> new NearDuplicates(5, 0, 8, 0.8));
    assertThrows(UserException.class, () -> new NearDuplicates(5, 16, 8, 1.5));
    assertThrows(UserException.class, () -> new QualityRules(5, 1, 1, 0, 0, Optional.empty()));
    assertThrows(UserException.class, () -> new QualityRules(0, 1, 2, 0, 0, Optional.empty()));
  }
}
