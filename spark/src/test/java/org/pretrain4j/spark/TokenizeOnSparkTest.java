package org.pretrain4j.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;
import org.pretrain4j.data.tokens.ManifestMerge;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;

class TokenizeOnSparkTest {
  private static final TokenizeOptions OPTIONS = new TokenizeOptions(20_000, 4096, 0, 1, 1);

  @TempDir Path folder;

  /** Seven files of very different sizes. */
  @BeforeEach
  void corpus() throws IOException {
    Random random = new Random(5);
    for (int file = 0; file < 7; file++) {
      StringBuilder lines = new StringBuilder();
      for (int i = 0; i < 40 + 60 * file; i++) {
        lines.append("{\"text\": \"");
        for (int word = random.nextInt(60); word >= 0; word--) {
          lines.append("word").append(random.nextInt(1000)).append(' ');
        }
        lines.append("\"}\n");
      }
      Files.writeString(folder.resolve("in-" + file + ".jsonl"), lines);
    }
  }

  private String glob() {
    return folder + "/in-*.jsonl";
  }

  private void tokenizeLocally(String output, int workers) throws IOException {
    try (Tokenizer tokenizer = LocalSpark.BYTES.load(LocalSpark.STORAGE)) {
      for (int worker = 0; worker < workers; worker++) {
        new TokenizeJob(
                LocalSpark.STORAGE,
                tokenizer,
                TextInputs.find(LocalSpark.STORAGE, List.of(glob()), TextFormat.JSONL, "text"),
                LocalSpark.hadoop(folder.resolve(output)),
                OPTIONS.withWorker(worker, workers),
                PreparationListener.NONE)
            .run();
      }
    }
    if (workers > 1) {
      ManifestMerge.merge(LocalSpark.STORAGE, LocalSpark.hadoop(folder.resolve(output)));
    }
  }

  private Manifest tokenizeOnSpark(String output, TokenizeOptions options) throws IOException {
    Corpus corpus = Corpus.find(LocalSpark.STORAGE, List.of(glob()), TextFormat.JSONL, "text");
    return new TokenizeOnSpark(
            LocalSpark.SPARK, corpus, LocalSpark.BYTES, folder.resolve(output).toString(), options)
        .run();
  }

  @Test
  void everyFileIsThatOfTheLocalWorkersAndTheirMerge() throws Exception {
    for (int workers : new int[] {1, 3, 7}) {
      tokenizeLocally("local" + workers, workers);
      Manifest manifest = tokenizeOnSpark("spark" + workers, OPTIONS.withWorker(0, workers));
      assertTrue(manifest.shards().size() > workers);
      assertEquals(
          LocalSpark.contents(folder.resolve("local" + workers)),
          LocalSpark.contents(folder.resolve("spark" + workers)));
    }
  }

  @Test
  void aMalformedFileIsNamedAndNothingIsPublishedUntilItIsMended() throws Exception {
    Path bad = folder.resolve("in-4.jsonl");
    var modified = Files.getLastModifiedTime(bad);
    String good = Files.readString(bad);
    Files.writeString(bad, good + "{\"text\": \"torn");
    UserException e =
        assertThrows(UserException.class, () -> tokenizeOnSpark("spark", OPTIONS.withWorker(0, 3)));
    assertTrue(e.getMessage().contains("in-4.jsonl:281: not JSON"), e.getMessage());
    assertFalse(Files.exists(folder.resolve("spark/manifest.json")));
    Files.writeString(bad, good);
    Files.setLastModifiedTime(bad, modified);
    tokenizeOnSpark("spark", OPTIONS.withWorker(0, 3));
    tokenizeLocally("local", 3);
    assertEquals(
        LocalSpark.contents(folder.resolve("local")), LocalSpark.contents(folder.resolve("spark")));
  }

  @Test
  void aFinishedJobIsNotRepeatedAndAnotherIsRefused() throws Exception {
    Manifest first = tokenizeOnSpark("spark", OPTIONS.withWorker(0, 3));
    var shards = LocalSpark.contents(folder.resolve("spark"));
    Path shard = folder.resolve("spark").resolve(first.shards().getFirst().name());
    var modified = Files.getLastModifiedTime(shard);
    assertEquals(first, tokenizeOnSpark("spark", OPTIONS.withWorker(0, 3)));
    assertEquals(shards, LocalSpark.contents(folder.resolve("spark")));
    assertEquals(modified, Files.getLastModifiedTime(shard));
    for (TokenizeOptions other :
        List.of(OPTIONS.withWorker(0, 2), OPTIONS, new TokenizeOptions(30_000, 4096, 0, 3, 1))) {
      UserException e = assertThrows(UserException.class, () -> tokenizeOnSpark("spark", other));
      assertTrue(e.getMessage().contains("already holds"), e.getMessage());
      assertEquals(shards, LocalSpark.contents(folder.resolve("spark")));
    }
  }

  @Test
  void moreWorkersThanFilesAreRefused() {
    assertThrows(UserException.class, () -> tokenizeOnSpark("spark", OPTIONS.withWorker(0, 8)));
  }
}
