package org.pretrain4j.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.curation.CurateJob;
import org.pretrain4j.data.curation.Curation;
import org.pretrain4j.data.curation.CurationEngine;
import org.pretrain4j.data.curation.CurationReport;
import org.pretrain4j.data.curation.CurationResult;
import org.pretrain4j.data.curation.DropReason;
import org.pretrain4j.data.curation.NearDuplicates;
import org.pretrain4j.data.curation.QualityRules;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;
import org.pretrain4j.data.tokens.PreparationListener;
import scala.Tuple2;

class CurationOnSparkTest {
  @TempDir Path folder;

  /** Documents of which many are copies of others, changed a little, and of each other's copies. */
  private void corpus(Random random, int files, int perFile) throws IOException {
    List<String> texts = new ArrayList<>();
    for (int file = 0; file < files; file++) {
      StringBuilder lines = new StringBuilder();
      for (int i = 0; i < perFile; i++) {
        String text = text(random, texts);
        texts.add(text);
        lines.append("{\"text\": \"").append(text).append("\"}\n\n");
      }
      Files.writeString(folder.resolve("in-" + file + ".jsonl"), lines);
    }
  }

  private static String text(Random random, List<String> texts) {
    double dice = random.nextDouble();
    if (dice < 0.1) {
      return "short " + random.nextInt(100);
    }
    if (dice < 0.15) {
      return "=".repeat(60 + random.nextInt(5));
    }
    if (dice < 0.4 || texts.isEmpty()) {
      return words(random, 40 + random.nextInt(60));
    }
    String[] copy = texts.get(random.nextInt(texts.size())).split(" ");
    for (int changes = random.nextInt(4); changes > 0; changes--) {
      copy[random.nextInt(copy.length)] = "w" + random.nextInt(5000);
    }
    return String.join(" ", copy);
  }

  private static String words(Random random, int count) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < count; i++) {
      text.append("w").append(random.nextInt(5000)).append(' ');
    }
    return text.toString().strip();
  }

  private List<DocumentInput> inputs() throws IOException {
    return TextInputs.find(LocalSpark.STORAGE, List.of(glob()), TextFormat.JSONL, "text");
  }

  private Corpus corpus() throws IOException {
    return Corpus.find(LocalSpark.STORAGE, List.of(glob()), TextFormat.JSONL, "text");
  }

  private String glob() {
    return folder + "/in-*.jsonl";
  }

  /** The identity of each input, which holds its name and what was dropped, and its documents. */
  private static List<String> read(List<DocumentInput> inputs) throws IOException {
    List<String> all = new ArrayList<>();
    for (DocumentInput input : inputs) {
      all.add(input.identity());
      try (DocumentReader reader = input.open()) {
        for (Document d = reader.next(); d != null; d = reader.next()) {
          all.add(d.origin() + " " + d.text());
        }
      }
    }
    return all;
  }

  private CurationResult assertSame(Curation curation, String seed) throws IOException {
    CurationResult local = curation.decide(inputs());
    CurationDecision spark = new CurationOnSpark(LocalSpark.SPARK, curation).decide(corpus());
    assertEquals(local.report(), spark.report(), seed);
    assertEquals(read(local.inputs()), read(spark.corpus().inputs(LocalSpark.STORAGE)), seed);
    return local;
  }

  @Test
  void theSameDocumentsAreDroppedForTheSameReasons() throws Exception {
    for (long seed = 1; seed <= 4; seed++) {
      corpus(new Random(seed), 5, 120);
      CurationResult local =
          assertSame(
              new Curation(
                  QualityRules.defaults(), true, Optional.of(new NearDuplicates(3, 16, 4, 0.6))),
              "seed " + seed);
      for (DropReason reason :
          List.of(
              DropReason.TOO_SHORT,
              DropReason.FEW_LETTERS,
              DropReason.DUPLICATE,
              DropReason.NEAR_DUPLICATE)) {
        assertTrue(local.report().dropped().get(reason).documents() > 10, seed + " " + reason);
      }
    }
  }

  @Test
  void eachPartWorksWithoutTheOthers() throws Exception {
    corpus(new Random(9), 3, 100);
    assertSame(new Curation(QualityRules.none(), false, Optional.empty()), "none");
    assertSame(new Curation(QualityRules.defaults(), false, Optional.empty()), "rules");
    assertSame(new Curation(QualityRules.none(), true, Optional.empty()), "exact");
    assertSame(
        new Curation(QualityRules.none(), false, Optional.of(new NearDuplicates(2, 20, 2, 0.4))),
        "near");
  }

  /** Each document is similar to the next one only, so that every other one is kept. */
  @Test
  void aLongChainOfSimilarDocumentsIsDecidedInOrder() throws Exception {
    Random random = new Random(3);
    String[] words = words(random, 60).split(" ");
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 12; i++) {
      lines.append("{\"text\": \"").append(String.join(" ", words)).append("\"}\n");
      for (int w = 0; w < 12; w++) {
        words[(12 * i + w) % words.length] = "new" + random.nextInt(100_000);
      }
    }
    Files.writeString(folder.resolve("in-0.jsonl"), lines);
    CurationResult local =
        assertSame(
            new Curation(
                QualityRules.none(), true, Optional.of(new NearDuplicates(1, 256, 2, 0.55))),
            "chain");
    assertEquals(6, local.report().kept());
  }

  /** With one value a band, most documents have a key in common with hundreds of others. */
  @Test
  void largeGroupsAreDecidedWithFewUndecidedSignaturesInMemory() {
    Random random = new Random(5);
    NearDuplicates settings = new NearDuplicates(1, 32, 1, 0.5);
    List<String> texts = new ArrayList<>();
    List<Tuple2<Long, byte[]>> signatures = new ArrayList<>();
    for (int i = 0; i < 400; i++) {
      texts.add(text(random, texts));
      byte[] signature = settings.sketcher().signature(texts.getLast());
      signatures.add(new Tuple2<>(DocumentPlace.of(0, i), signature));
    }
    BitSet expected =
        new NearDuplicateSearch(LocalSpark.SPARK, settings, 1)
            .find(LocalSpark.SPARK.parallelizePairs(signatures, 3))
            .of(0);
    assertTrue(expected.cardinality() > 100, expected.cardinality() + " near duplicates");
    for (long signaturesHeld : new long[] {1, 7}) {
      NearDuplicateSearch small =
          new NearDuplicateSearch(LocalSpark.SPARK, settings, 1, 64 * signaturesHeld);
      assertEquals(expected, small.find(LocalSpark.SPARK.parallelizePairs(signatures, 2)).of(0));
    }
  }

  private CurateJob job(String output, long partCharacters) throws IOException {
    return new CurateJob(
        LocalSpark.STORAGE,
        inputs(),
        LocalSpark.hadoop(folder.resolve(output)),
        new Curation(QualityRules.defaults(), true, Optional.of(NearDuplicates.defaults())),
        partCharacters,
        2,
        PreparationListener.NONE);
  }

  @Test
  void everyFileIsThatOfTheLocalCommand() throws Exception {
    corpus(new Random(12), 6, 90);
    for (long partCharacters : new long[] {1, 5_000, 1L << 28}) {
      CurationReport local = job("local" + partCharacters, partCharacters).run();
      String output = "spark" + partCharacters;
      CurateOnSpark engine = new CurateOnSpark(LocalSpark.SPARK, corpus());
      assertEquals(local, job(output, partCharacters).run(engine));
      var expected = LocalSpark.contents(folder.resolve("local" + partCharacters));
      assertEquals(expected, LocalSpark.contents(folder.resolve(output)));
      assertTrue(partCharacters > 5_000 || expected.size() > 10, expected.size() + " files");
      assertEquals(local, job(output, partCharacters).run(engine));
    }
  }

  @Test
  void aFailedPartLeavesAReportThatIsNotComplete() throws Exception {
    corpus(new Random(12), 2, 60);
    job("local", 5_000).run();
    // A folder in the place of a part: the rename of the finished file fails.
    Path blocked = folder.resolve("spark/part-00001.jsonl.zst/in the way");
    CurateOnSpark engine = new CurateOnSpark(LocalSpark.SPARK, corpus());
    CurationEngine failing =
        (curation, target, partCharacters) -> {
          Files.createDirectories(blocked);
          return engine.curate(curation, target, partCharacters);
        };
    assertThrows(RuntimeException.class, () -> job("spark", 5_000).run(failing));
    assertTrue(Files.readString(folder.resolve("spark/curation.json")).contains("false"));
    job("spark", 5_000).run(engine);
    assertEquals(
        LocalSpark.contents(folder.resolve("local")), LocalSpark.contents(folder.resolve("spark")));
  }

  @Test
  void aMalformedFileIsNamed() throws Exception {
    corpus(new Random(9), 2, 20);
    Files.writeString(folder.resolve("in-1.jsonl"), "{\"text\": 7}\n");
    Curation curation = new Curation(QualityRules.none(), true, Optional.empty());
    String local = assertThrows(UserException.class, () -> curation.decide(inputs())).getMessage();
    String spark =
        assertThrows(
                UserException.class,
                () -> new CurationOnSpark(LocalSpark.SPARK, curation).decide(corpus()))
            .getMessage();
    assertEquals(local, spark);
    assertTrue(spark.contains("in-1.jsonl:1"), spark);
  }
}
