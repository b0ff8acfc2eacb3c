package org.pretrain4j.data.curation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.ConfigurationException;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;
import org.pretrain4j.data.tokens.PreparationListener;

class CurateJobTest {
  private static final long SEED = 31;

  @TempDir Path folder;
  private List<DocumentInput> inputs;

  /** Many documents with line ends, quotes and emoji, some short, every fifth one twice. */
  @BeforeEach
  void writeCorpus() throws Exception {
    Random random = new Random(SEED);
    Path corpus = Files.createDirectories(folder.resolve("corpus"));
    String first = "";
    for (int i = 0; i < 100; i++) {
      StringBuilder text = new StringBuilder("\"quoted\" \ud83d\ude00\n");
      for (int word = random.nextInt(80); word >= 0; word--) {
        text.append("word").append(random.nextInt(1000)).append(word % 9 == 0 ? "\n" : " ");
      }
      first = i == 0 ? text.toString() : first;
      Files.writeString(
          corpus.resolve(String.format("%04d.txt", i)), i % 5 == 4 ? first : text.toString());
    }
    inputs = find(corpus, TextFormat.TEXT);
  }

  private static List<DocumentInput> find(Path place, TextFormat format) throws Exception {
    return TextInputs.find(Fixtures.STORAGE, List.of(place.toString()), format, "text");
  }

  private static Curation curation(String... settings) {
    return ConfigurationReader.defaults(CurationConfig.class, List.of(settings)).curation();
  }

  private CurationReport run(String output, Curation curation, long partCharacters, int threads) {
    return new CurateJob(
            Fixtures.STORAGE,
            inputs,
            Fixtures.hadoop(folder.resolve(output)),
            curation,
            partCharacters,
            threads,
            PreparationListener.NONE)
        .run();
  }

  private static List<String> texts(List<DocumentInput> inputs) throws Exception {
    List<String> texts = new ArrayList<>();
    for (DocumentInput input : inputs) {
      try (DocumentReader reader = input.open()) {
        for (Document d = reader.next(); d != null; d = reader.next()) {
          texts.add(d.text());
        }
      }
    }
    return texts;
  }

  private List<String> written(String output) throws Exception {
    return texts(find(folder.resolve(output).resolve("*.jsonl.zst"), TextFormat.JSONL));
  }

  @Test
  void writesWhatTheDecisionsKeepWhateverTheThreadsAndTheParts() throws Exception {
    CurationResult decided = curation().decide(inputs);
    List<String> expected = texts(decided.inputs());
    assertTrue(expected.size() < 85 && expected.size() > 30, expected.size() + " kept");
    assertEquals(decided.report(), run("one", curation(), 1L << 28, 1));
    assertEquals(decided.report(), run("many", curation(), 1000, 3));
    assertEquals(expected, written("one"));
    assertEquals(expected, written("many"));
    assertFalse(Files.exists(folder.resolve("one/part-00001.jsonl.zst")));
    assertTrue(Files.exists(folder.resolve("many/part-00009.jsonl.zst")));
  }

  @Test
  void theReportSaysWhatWasDroppedAndWhy() throws Exception {
    CurationReport report = run("out", curation(), 1L << 28, 2);
    assertEquals(20, report.dropped().get(DropReason.DUPLICATE).documents());
    assertEquals(100, report.kept() + sum(report));
    String json = Files.readString(folder.resolve("out/curation.json"));
    assertTrue(json.contains("\"DUPLICATE\"") && json.contains("0004.txt"), json);
  }

  private static long sum(CurationReport report) {
    return report.dropped().values().stream().mapToLong(CurationReport.Dropped::documents).sum();
  }

  @Test
  void aFinishedFolderIsLeftAloneAndThoseOfOthersAreRefused() throws Exception {
    CurationReport report = run("out", curation(), 1L << 28, 2);
    Files.delete(folder.resolve("out/part-00000.jsonl.zst"));
    assertEquals(report, run("out", curation(), 1L << 28, 2));
    assertFalse(Files.exists(folder.resolve("out/part-00000.jsonl.zst")), "written again");
    UserException other =
        assertThrows(
            UserException.class, () -> run("out", curation("min_characters=9"), 1L << 28, 2));
    assertTrue(other.getMessage().contains("other inputs or rules"), other.getMessage());

    Files.createDirectories(folder.resolve("mine"));
    Files.writeString(folder.resolve("mine/part-00000.jsonl.zst"), "not ours");
    assertThrows(UserException.class, () -> run("mine", curation(), 1L << 28, 2));
    assertEquals("not ours", Files.readString(folder.resolve("mine/part-00000.jsonl.zst")));
  }

  @Test
  void aJobThatEndedEarlyStartsAgain() throws Exception {
    run("whole", curation(), 1000, 2);
    Files.writeString(folder.resolve("corpus/zzzz.txt"), "x", StandardOpenOption.CREATE);
    inputs = find(folder.resolve("corpus"), TextFormat.TEXT);
    Files.write(folder.resolve("corpus/zzzz.txt"), new byte[] {(byte) 0xff});
    assertThrows(UserException.class, () -> run("out", curation(), 1000, 2));
    Path stale = Files.writeString(folder.resolve("out/part-00077.jsonl.zst"), "of the first try");
    Files.delete(folder.resolve("corpus/zzzz.txt"));
    inputs = find(folder.resolve("corpus"), TextFormat.TEXT);
    run("out", curation(), 1000, 2);
    try (var files = Files.list(folder.resolve("whole"))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".zst")).toList()) {
        assertEquals(-1, Files.mismatch(file, folder.resolve("out").resolve(file.getFileName())));
      }
    }
    assertFalse(Files.exists(stale));
  }

  @Test
  void rulesAreReadStrictly() {
    assertThrows(ConfigurationException.class, () -> curation("min_charakters=9"));
    assertThrows(ConfigurationException.class, () -> curation("near_similarity=1.5"));
    assertThrows(ConfigurationException.class, () -> curation("max_characters=10"));
    assertThrows(ConfigurationException.class, () -> curation("script=elvish"));
    assertTrue(curation("near_duplicates=false").near().isEmpty());
  }
}
